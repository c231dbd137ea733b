import re
from pathlib import Path
from typing import Any

import frame_core

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_the_readme_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    names["test_reconstruction_error_satisfies_the_contract"]()


def test_the_readme_names_every_contract() -> None:
    contracts = {name for name in frame_core.__all__ if isinstance(getattr(frame_core, name), type)} - {"EntryType"}
    readme = README.read_text(encoding="utf-8")
    assert {name for name in contracts if f"| `{name}` |" not in readme} == set()
