"""Run directories that are changed at random: nothing outside changes, nothing is executed, no traceback appears."""

import contextlib
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from frame_loggers.files import open_regular
from frame_train import load_run
from frame_train.composition.settings import register_resolver
from frame_train.errors import CompositionError
from mutations import Mutation, Watch

SECRET = "do-not-show-this"
MEMORY = 2**32  # bytes beyond what the process has
TIMEOUT = 120  # seconds of wall time, on a busy machine
N_FAST, N_SLOW = 8, 632


@pytest.fixture(scope="module")
def light(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two evaluations that take little time."""
    for name in ("torchvision.datasets", "matplotlib"):  # their first import makes a folder for a cache
        import_module(name)
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("light") / "run"))
    config = OmegaConf.load(run / "config.yaml")
    config.evaluation = {name: config.evaluation[name] for name in ("samples", "elbo_validation")}
    OmegaConf.save(config, run / "config.yaml")
    return run


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user that must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text(SECRET)
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """Return the kind, the content and the mode of everything in a folder."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in (folder, *folder.rglob("*"))
    }


@contextmanager
def limited() -> Iterator[None]:
    """Limit the memory and the time of the block."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"it took more than {TIMEOUT} seconds")

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    signal.alarm(TIMEOUT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def use(run: Path) -> list[str]:
    """Use a run as a person does in Python; return what is said of it."""
    try:
        loaded = load_run(run)
        loaded.export(run / "weights.safetensors")
        return ["".join(loaded.metrics.columns), str({name: len(split) for name, split in loaded.data.items()})]
    except CompositionError as error:
        return [str(error)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "seed", [*range(N_FAST), *(pytest.param(n, marks=pytest.mark.slow) for n in range(N_FAST, N_FAST + N_SLOW))]
)
def test_a_changed_run_directory_leads_nowhere(
    evaluate: Callable[..., Any],
    runs: Callable[..., Any],
    light: Path,
    tmp_path: Path,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    run = Path(shutil.copytree(light, tmp_path / "foreign" / "run"))
    mutation = Mutation(run, outside, seed)
    mutation.apply()
    before = describe(outside)
    monkeypatch.setenv("SECRET", SECRET)
    register_resolver("planted", lambda _: (outside / "planted").touch())
    monkeypatch.chdir(run)
    with limited(), Watch(run, outside) as watch:
        said = use(run)
        commands = [evaluate("run=."), evaluate("--diff", str(light), str(run))]
        commands += [runs("--root", str(run.parent), *flags) for flags in ([], ["--csv"])]
    run.chmod(0o755)
    assert watch.found == [], mutation.changes
    assert describe(outside) == before, mutation.changes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "outside"], mutation.changes
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["run"], mutation.changes
    for result in commands:
        said += [result.output, result.errors]
        assert result.code in (0, 1, 2), (mutation.changes, result)
        assert "Traceback" not in result.errors, (mutation.changes, result)
        assert result.code == 0 or result.errors.startswith(("error:", "`")), (mutation.changes, result)
    report = run / "report.html"
    said.append(report.read_text(errors="replace") if report.is_file() and not report.is_symlink() else "")
    assert "\x1b" not in "".join(said), mutation.changes
    assert SECRET not in "".join(said), mutation.changes


def fail_to_write(outside: Path) -> None:
    with pytest.raises(FileNotFoundError):
        (outside / "missing" / "file").write_text("")


def connect(_: Path) -> None:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()


@pytest.mark.parametrize(
    "act",
    [
        lambda outside: (outside / "planted").touch(),
        lambda outside: (outside / "file").read_text(),
        lambda outside: (outside / "file").unlink(),
        lambda outside: (outside / "planted").mkdir(),
        lambda outside: (outside / "file").rename(outside.parent / "inside" / "file"),
        lambda outside: (outside.parent / "inside" / "link").write_text("through a link"),
        lambda outside: (outside.parent / "beside").write_text("neither inside nor outside"),
        lambda outside: subprocess.run(["true"], check=True),
        fail_to_write,
        connect,
    ],
)
def test_the_watch_sees_what_leads_outside(outside: Path, act: Callable[[Path], Any]) -> None:
    inside = outside.parent / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside / "file")
    with Watch(inside, outside) as watch:
        (inside / "own").write_text("")
        (inside / "own").rename(inside / "renamed")
        with pytest.raises(OSError, match="a link is not followed"), open(inside / "link", opener=open_regular):
            pass
    assert watch.found == []
    with watch:
        act(outside)
    assert watch.found != []
