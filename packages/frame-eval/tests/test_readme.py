import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"


def test_examples_run() -> None:
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL):
        exec(block, namespace)
    side = 2 + 4 + 2 + 4 + 2 + 4 + 2  # images of 4 by 4 and the padding between them
    assert namespace["samples"].value.shape == (3, side, side)
