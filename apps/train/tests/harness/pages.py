"""Pages of the documentation, as the folder of a user who has copied their code and configs."""

import re
from pathlib import Path


def write_project(page: Path, folder: Path, module: str) -> None:
    """Write the Python blocks of a page to a module, and each YAML block to the experiment that its command names."""
    text = page.read_text()
    (folder / f"{module}.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    experiments = folder / "my_config" / "experiment"
    experiments.mkdir(parents=True)
    for config in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        (name,) = re.findall(r"\+experiment=(\w+)", config)
        (experiments / f"{name}.yaml").write_text(config)


def write_files(page: Path, folder: Path) -> None:
    """Write each code block with a title to the file that its title names."""
    for name, content in re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', page.read_text(), re.DOTALL | re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
