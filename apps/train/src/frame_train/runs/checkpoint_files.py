"""Checkpoint files, each intact or absent, with manifests that reveal damage."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from frame_loggers.files import open_regular, replace_text, replacing


@dataclass(frozen=True)
class _Manifest:
    """The global step, the size in bytes and the SHA-256 of a checkpoint, and whether training can resume from it."""

    global_step: int
    resumable: bool
    bytes: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a manifest; return None for one that can't be read."""
        try:
            with open(path, encoding="utf-8", opener=open_regular) as file:
                content = json.load(file)
            manifest = cls(**{field.name: content[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        is_well_formed = all(type(getattr(manifest, field.name)) is field.type for field in fields(cls))
        return manifest if is_well_formed else None

    def find_file(self, path: Path) -> Path | None:
        """Return the checkpoint of a path, or else the one before it, whichever has this size and SHA-256."""
        return next((file for file in (path, _get_before(path)) if self._matches(file)), None)

    def _matches(self, file: Path) -> bool:
        return file.is_file() and file.stat().st_size == self.bytes and _hash(file) == self.sha256


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
        path: The file, such as ``checkpoints/last.ckpt``; its manifest is ``checkpoints/last.ckpt.json``. Its folder
            exists, and is not created again if somebody has removed it.
        global_step: The global step of the checkpoint.
        is_resumable: Whether training can be resumed from it.
        write: Writes the content to a path.

    Raises:
        OSError: The checkpoint can't be written; the previous one is unchanged.
    """
    before = _get_before(path)
    with replacing(path) as temporary:
        write(temporary)
        manifest = _Manifest(global_step, is_resumable, temporary.stat().st_size, _hash(temporary))
        if path.exists():
            before.unlink(missing_ok=True)
            os.link(path, before)
    replace_text(_get_manifest(path), json.dumps(asdict(manifest)) + "\n")
    before.unlink(missing_ok=True)


def find_newest(directory: Path) -> tuple[IntactCheckpoint | None, list[str]]:
    """Find the newest intact checkpoint to resume from, and explain why each newer one is skipped.

    Args:
        directory: The folder of the checkpoints.
    """
    manifests = {path: _Manifest.read(path) for path in sorted(directory.glob("*.ckpt.json"))}
    skipped = [f"Skipped {str(path)!r}: it can't be read." for path, manifest in manifests.items() if manifest is None]
    resumable = [(manifest, path) for path, manifest in manifests.items() if manifest and manifest.resumable]
    for manifest, path in sorted(resumable, key=lambda pair: pair[0].global_step, reverse=True):
        path = path.with_suffix("")
        file = manifest.find_file(path)
        if file is not None:
            return IntactCheckpoint(file, manifest.global_step), skipped
        skipped.append(f"Skipped {str(path)!r}: its checksum does not match the manifest.")
    return None, skipped


def find_intact(path: Path) -> Path | None:
    """Return the file that the manifest of a checkpoint describes, or None if there is no such file.

    It is the checkpoint, or the previous one if a process was killed while it saved. Without a manifest, the checkpoint
    can't be verified and is returned.
    """
    if not _get_manifest(path).exists():
        return path
    manifest = _Manifest.read(_get_manifest(path))
    return None if manifest is None else manifest.find_file(path)


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


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
