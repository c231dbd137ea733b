import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from frame_train.comparison.summary import Summary, flatten, iterate_directories, read_summary
from frame_train.runs.directory import claimed

DESCRIPTION = {
    "format": 2,
    "started": "2026-01-31T10:00:00+00:00",
    "command": ["train", "+experiment=X", "++params.beta=1", "architectures=MNIST_conv", "device.num_workers=2"],
    "seed": 3,
    "project": "MNIST",
    "name": "VAE",
    "params": {"beta": 1, "layers": {"n": 2}},
    "monitor": {"metric": "ELBO", "mode": "max"},
    "ended": "2026-01-31T10:01:30+00:00",
    "complete": True,
    "last": {"ELBO": -2.0, "loss": 3.0},
    "best": {"ELBO": -1.0},
}


def write(directory: Path, **changes: Any) -> Path:
    directory.mkdir(parents=True)
    description = {key: value for key, value in {**DESCRIPTION, **changes}.items() if value is not None}
    (directory / "run.json").write_text(json.dumps(description))
    for name in ("config.yaml", "overrides.yaml"):
        (directory / name).touch()
    return directory


def test_a_summary_has_what_tells_runs_apart(tmp_path: Path) -> None:
    summary = read_summary(write(tmp_path / "run"))
    assert (summary.project, summary.name, summary.status, summary.seconds) == ("MNIST", "VAE", "complete", 90.0)
    assert summary.settings == {
        "params.beta": 1,
        "params.layers.n": 2,
        "seed": 3,
        "architectures": "MNIST_conv",
    }
    assert (summary.monitor, summary.last, summary.best) == ("ELBO", {"ELBO": -2.0, "loss": 3.0}, {"ELBO": -1.0})


def test_the_summary_of_a_real_run_equals_its_metrics_file_with_and_without_them_in_run_json(
    trained: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    elbo = [line["ELBO/Validation"] for line in lines if "ELBO/Validation" in line]
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    with_metrics = read_summary(copy)
    assert elbo
    assert with_metrics.last["ELBO/Validation"] == elbo[-1]
    assert with_metrics.best["ELBO/Validation"] == max(elbo)
    assert with_metrics.settings["params.beta.end"] == 1.0
    description = json.loads((copy / "run.json").read_text())
    for key in ("last", "best", "params", "monitor", "seed"):  # as a run of an older version
        del description[key]
    (copy / "run.json").write_text(json.dumps(description))
    assert read_summary(copy) == with_metrics


def test_the_status_tells_how_a_run_ended(tmp_path: Path) -> None:
    assert read_summary(write(tmp_path / "a", complete=False)).status == "stopped"
    killed = write(tmp_path / "b", ended=None, complete=None)
    assert (read_summary(killed).status, read_summary(killed).seconds) == ("killed", None)
    with claimed(killed):
        assert read_summary(killed).status == "running"
    assert read_summary(killed).status == "killed"


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '{"format": 99}', '{"format": "2"}', "[" * 10_000], ids=lambda text: text[:20]
)
def test_a_run_with_an_unreadable_description_is_damaged(tmp_path: Path, text: str) -> None:
    directory = tmp_path / "P" / "N" / "time"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(text)
    assert read_summary(directory) == Summary(directory, "P", "N", "damaged")


@pytest.mark.parametrize("wrong", [None, 1, [1], "x", {"a": "b"}, {"a": None}, {"a": 10**400}, "0001-01-01"], ids=repr)
@pytest.mark.parametrize("key", ["last", "best", "params", "monitor", "command", "started", "ended", "complete"])
def test_a_wrong_value_in_a_description_is_not_fatal(tmp_path: Path, key: str, wrong: Any) -> None:
    directory = write(tmp_path / "run")
    (directory / "run.json").write_text(json.dumps({**DESCRIPTION, key: wrong}))
    summary = read_summary(directory)
    assert all(type(value) is float for value in [*summary.last.values(), *summary.best.values()])


def test_times_with_and_without_a_zone_can_be_subtracted(tmp_path: Path) -> None:
    seconds = read_summary(write(tmp_path / "run", started="2026-01-31T10:00:00")).seconds
    assert seconds is not None
    assert abs(timedelta(seconds=seconds)) < timedelta(days=1)


def test_run_directories_are_found_at_any_depth_up_to_three_without_links(tmp_path: Path) -> None:
    deep = write(tmp_path / "root" / "P" / "N" / "time")
    write(tmp_path / "root" / "P" / "N" / "x" / "too deep")
    write(deep / "inside of a run")
    outside = write(tmp_path / "outside" / "run")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    assert list(iterate_directories(tmp_path / "root")) == [deep]
    assert list(iterate_directories(tmp_path / "root" / "P" / "N")) == [deep, tmp_path / "root/P/N/x/too deep"]
    assert list(iterate_directories(outside)) == [outside]


def test_a_folder_of_another_program_with_a_run_json_is_no_run_directory(tmp_path: Path) -> None:
    run = write(tmp_path / "P" / "N" / "time")
    for folder in (tmp_path, tmp_path / "P"):
        (folder / "run.json").write_text('{"scripts": {}}')
    assert list(iterate_directories(tmp_path)) == [run]


def test_no_link_of_a_run_is_followed(tmp_path: Path) -> None:
    run = write(tmp_path / "run", last=None, best=None, params=None)
    (tmp_path / "secret.yaml").write_text("params: {password: secret}")
    (tmp_path / "secret.jsonl").write_text('{"secret": 1.0}')
    for name, target in (("config.yaml", "secret.yaml"), ("metrics.jsonl", "secret.jsonl"), ("overrides.yaml", "pipe")):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / target)
    os.mkfifo(tmp_path / "pipe")
    assert "secret" not in str(read_summary(run))
    (run / "config.yaml").unlink()
    (run / "config.yaml").symlink_to("/dev/zero")
    assert read_summary(run).last == {}


def test_a_nested_mapping_is_flattened_to_dotted_keys() -> None:
    assert dict(flatten({"a": {"b": 1, "c": {}}, "d": [2]})) == {"a.b": 1, "a.c": {}, "d": [2]}
