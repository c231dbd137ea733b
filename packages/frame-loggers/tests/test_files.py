import os
from pathlib import Path

import pytest

from frame_loggers.files import open_regular, remove_leftovers, replace_text, replacing


def test_replacing_a_file_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for text in ("first", "日本語"):
        replace_text(path, text)
        assert path.read_text(encoding="utf-8") == text
        assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_leaves_the_file_unchanged_and_no_other_file(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "file.txt"
    if exists:
        path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({"file.txt": "before"} if exists else {})


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path, target = tmp_path / "run" / "file.txt", tmp_path / "target.txt"
    path.parent.mkdir()
    target.write_text("of somebody else")
    path.symlink_to(target)
    replace_text(path, "own")
    assert target.read_text() == "of somebody else"
    assert not path.is_symlink()
    assert path.read_text() == "own"


def test_the_umask_determines_the_mode_of_a_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    before = os.umask(0o027)
    try:
        with replacing(path) as temporary:
            temporary.unlink()
            temporary.touch(mode=0o600)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_two_threads_can_replace_a_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.touch()
    with replacing(path) as temporary:
        os.link(temporary, tmp_path / ".file.txt.0123456789abcdef.tmp")
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def make_entry(path: Path, kind: str) -> None:
    match kind:
        case "link":
            path.symlink_to(path.with_name("target"))
        case "dangling link":
            path.symlink_to(path.with_name("nowhere"))
        case "hard link":
            os.link(path.with_name("target"), path)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()


@pytest.mark.parametrize("mode", ["r", "a", "r+"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe", "folder"])
def test_only_a_regular_file_with_one_name_is_opened(tmp_path: Path, mode: str, kind: str) -> None:
    (tmp_path / "target").write_text("of somebody else")
    make_entry(tmp_path / "file", kind)
    if (kind, mode) == ("hard link", "r"):  # reading changes nothing
        with open(tmp_path / "file", mode, opener=open_regular) as file:
            assert file.read() == "of somebody else"
        return
    with pytest.raises(OSError, match=r"'.*file'"), open(tmp_path / "file", mode, opener=open_regular):
        pass
    assert (tmp_path / "target").read_text() == "of somebody else"
    assert not (tmp_path / "nowhere").exists()


def test_a_regular_file_is_made_and_appended_to(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with open(tmp_path / "file", "a", opener=open_regular) as file:
            file.write(text)
    assert (tmp_path / "file").read_text() == "firstsecond"


def test_a_folder_with_the_name_of_a_leftover_stays(tmp_path: Path) -> None:
    (tmp_path / ".file.txt.0123456789abcdef.tmp").mkdir()
    remove_leftovers(tmp_path)
    assert [path.is_dir() for path in tmp_path.iterdir()] == [True]
