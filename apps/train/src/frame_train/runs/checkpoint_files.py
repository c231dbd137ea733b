"""Checkpoints on disk: each whole or not there, with a manifest that tells a damaged file."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class WholeCheckpoint:
    """A checkpoint whose content is what was written."""

    path: Path
    global_step: int


def write_checkpoint(path: Path, global_step: int, is_resumable: bool, write: Callable[[Path], None]) -> None:
    """Write a checkpoint and its manifest; at every moment a whole one with its manifest is there.

    The file is written beside its place and renamed; the one before is kept as ``.<name>.before`` until the
    manifest, with the size and the SHA-256 of the new file, has taken its place as well.

    Args:
        path: The file, such as ``checkpoints/last.ckpt``; its manifest is ``checkpoints/last.ckpt.json``.
        global_step: The global step that it is of.
        is_resumable: Whether a training may go on from it.
        write: Writes the content to a path.

    Raises:
        OSError: It can't be written; the one before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    before = _get_before(path)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # as the umask says; what writes may make a file of its own there
        write(temporary)
        temporary.chmod(mode)
        _flush(temporary)
        manifest = {
            "global_step": global_step,
            "resumable": is_resumable,
            "bytes": temporary.stat().st_size,
            "sha256": _hash(temporary),
        }
        if path.exists():
            before.unlink(missing_ok=True)
            os.link(path, before)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _replace_text(_get_manifest(path), json.dumps(manifest) + "\n")
    before.unlink(missing_ok=True)
    _flush(path.parent)


def find_newest(directory: Path) -> tuple[WholeCheckpoint | None, list[str]]:
    """Find the newest checkpoint to go on from that is whole, and tell of each newer one why it is passed over.

    Args:
        directory: The folder of the checkpoints.
    """
    candidates = sorted(
        ((_read_manifest(manifest), manifest) for manifest in directory.glob("*.ckpt.json")),
        key=lambda pair: pair[0].get("global_step", -1),
        reverse=True,
    )
    passed_over: list[str] = []
    for content, manifest in candidates:
        if content.get("resumable") is False:
            continue
        path = manifest.with_suffix("")
        for file in (path, _get_before(path)):
            if _fits(file, content):
                return WholeCheckpoint(file, content["global_step"]), passed_over
        passed_over.append(f"{str(path)!r} is passed over: it is not what its manifest says was written.")
    return None, passed_over


def put_back(checkpoint: WholeCheckpoint) -> WholeCheckpoint:
    """Put a checkpoint that was kept aside in its place again, so that the next one to be written keeps it too."""
    name = checkpoint.path.name
    if not name.endswith(".before"):
        return checkpoint
    path = checkpoint.path.with_name(name.removeprefix(".").removesuffix(".before"))
    checkpoint.path.replace(path)
    return WholeCheckpoint(path, checkpoint.global_step)


def _get_manifest(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _get_before(path: Path) -> Path:
    return path.with_name(f".{path.name}.before")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return {}


def _fits(file: Path, manifest: dict[str, Any]) -> bool:
    return file.is_file() and file.stat().st_size == manifest.get("bytes") and _hash(file) == manifest.get("sha256")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    _flush(temporary)
    temporary.replace(path)
