"""Checkpoint files, each intact or absent, with manifests that reveal damage."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frame_loggers.files import replace_text, replacing


@dataclass(frozen=True)
class IntactCheckpoint:
    """A checkpoint file whose content matches its manifest."""

    path: Path
    global_step: int


def write_checkpoint(path: Path, global_step: int, is_resumable: bool, write: Callable[[Path], None]) -> None:
    """Write a checkpoint and its manifest. At any time, an intact checkpoint with its manifest exists.

    The manifest has the size and the SHA-256 of the file. The previous checkpoint is kept as ``.<name>.before`` until
    the new manifest has replaced the old one.

    Args:
        path: The file, such as ``checkpoints/last.ckpt``; its manifest is ``checkpoints/last.ckpt.json``.
        global_step: The global step of the checkpoint.
        is_resumable: Whether training can be resumed from it.
        write: Writes the content to a path.

    Raises:
        OSError: The checkpoint can't be written; the previous one is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _get_before(path)
    with replacing(path) as temporary:
        write(temporary)
        manifest = {
            "global_step": global_step,
            "resumable": is_resumable,
            "bytes": temporary.stat().st_size,
            "sha256": _hash(temporary),
        }
        if path.exists():
            before.unlink(missing_ok=True)
            os.link(path, before)
    replace_text(_get_manifest(path), json.dumps(manifest) + "\n")
    before.unlink(missing_ok=True)


def find_newest(directory: Path) -> tuple[IntactCheckpoint | None, list[str]]:
    """Find the newest intact checkpoint to resume from, and explain why each newer one is skipped.

    Args:
        directory: The folder of the checkpoints.
    """
    candidates = sorted(
        ((_read_manifest(manifest), manifest) for manifest in directory.glob("*.ckpt.json")),
        key=lambda pair: pair[0].get("global_step", -1),
        reverse=True,
    )
    skipped: list[str] = []
    for content, manifest in candidates:
        if content.get("resumable") is False:
            continue
        path = manifest.with_suffix("")
        for file in (path, _get_before(path)):
            if _matches(file, content):
                return IntactCheckpoint(file, content["global_step"]), skipped
        skipped.append(f"Skipped {str(path)!r}: its checksum does not match the manifest.")
    return None, skipped


def restore(checkpoint: IntactCheckpoint) -> IntactCheckpoint:
    """Rename a checkpoint that was kept as ``.<name>.before`` to its original name."""
    name = checkpoint.path.name
    if not name.endswith(".before"):
        return checkpoint
    path = checkpoint.path.with_name(name.removeprefix(".").removesuffix(".before"))
    checkpoint.path.replace(path)
    return IntactCheckpoint(path, checkpoint.global_step)


def _get_manifest(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _get_before(path: Path) -> Path:
    return path.with_name(f".{path.name}.before")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return {}


def _matches(file: Path, manifest: dict[str, Any]) -> bool:
    return file.is_file() and file.stat().st_size == manifest.get("bytes") and _hash(file) == manifest.get("sha256")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
