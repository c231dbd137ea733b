import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"


def test_examples_run() -> None:
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL):
        exec(block, namespace)
    assert namespace["p_x"].event_shape == (1, 28, 28)
    assert namespace["classifier"](namespace["x"]).probs.shape == (5, 10)
