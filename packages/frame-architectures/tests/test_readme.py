import re
from pathlib import Path
from typing import Any

import frame_architectures
from frame_architectures import digits, mnist

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_examples_run_and_have_the_shapes_they_name() -> None:
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(example, names)
    assert (names["q_z"].batch_shape, names["q_z"].event_shape) == ((5,), (64,))
    assert (names["p_x"].batch_shape, names["p_x"].event_shape) == ((5,), mnist.INPUT_SHAPE)
    assert names["classifier"](names["x"]).probs.shape == (5, 10)


def test_every_public_name_is_in_the_readme() -> None:
    public = {*frame_architectures.__all__, *mnist.__all__, *digits.__all__}
    assert {name for name in public if not re.search(rf"`[^`]*\b{name}\b[^`]*`", README)} == set()
