"""Atomic replacement of files, and opening without following links."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def open_regular(path: str | Path, flags: int) -> int:
    """Open a regular file without following links; an ``opener`` for `open`.

    Pipes and devices are refused. A file with a second name (a hard link) can't be opened for writing.

    Raises:
        OSError: The path is not such a file, or can't be opened.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "a link is not followed", str(path))
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)  # a pipe would wait for its other end
    status = os.fstat(descriptor)
    is_written = flags & (os.O_WRONLY | os.O_RDWR)
    if stat.S_ISREG(status.st_mode) and (status.st_nlink == 1 or not is_written):
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise OSError(errno.EMLINK, "a file with a second name (a hard link) is not written", str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


@contextlib.contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a new empty file in the same folder, and replace ``path`` by it after the block.

    At any time, ``path`` is either the old file or the complete new one, flushed to the disk. If the block raises,
    ``path`` is unchanged and the new file is removed. The mode of the file follows the umask, even if the block
    replaces the yielded file.

    Raises:
        OSError: The file can't be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _NEW, 0o666)
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    try:
        yield temporary
        temporary.chmod(mode)
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, replacing an older one atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of `replacing` from a folder in which no other process writes."""
    for temporary in folder.glob(".*.tmp"):
        if not temporary.is_dir() or temporary.is_symlink():
            temporary.unlink()


def _flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
