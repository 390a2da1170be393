"""Durable files: the only code that calls fsync or rename.

``staged`` gives temporary names in the target folders. When its block ends well, every file is
flushed to the disk, then all are renamed, then the folders are flushed: whoever finds the final
name finds the whole file. When the block fails, nothing but a ``.part`` may stay behind.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path

from capture.errors import NoRoom, StorageRefused

PART = ".part"
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def staged(*targets: Path) -> Generator[tuple[Path, ...]]:
    """Yields a temporary path for each target; renames them all when the block ends well.

    Raises StorageRefused where there is no room or no right to write.
    """
    parts = tuple(part_of(target) for target in targets)
    with writing(targets[0]):
        try:
            for target in targets:
                make_folder(target.parent)
            yield parts
            commit(dict(zip(parts, targets, strict=True)))
        except BaseException:
            for part in parts:
                part.unlink(missing_ok=True)
            raise


def part_of(target: Path) -> Path:
    """The temporary name under which ``target`` is written, in the same folder."""
    return target.with_name(f".{target.name}{PART}")


def commit(moves: Mapping[Path, Path]) -> None:
    """Flushes every file, renames each key to its value, flushes the folders."""
    targets = list(moves.values())
    with writing(targets[0]):
        for part in moves:
            _flush(part)
        for part, target in moves.items():
            if target.parent != part.parent:
                make_folder(target.parent)
            part.replace(target)
        for folder in {target.parent for target in targets}:
            _flush(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each name flushed to the disk in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush(folder.parent)


def write_text(target: Path, text: str) -> None:
    """Writes a whole text file durably."""
    with staged(target) as (part,):
        part.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def writing(target: Path) -> Generator[None]:
    """Turns the operating system's refusals to write ``target`` into StorageRefused."""
    try:
        yield
    except OSError as error:
        kind = NoRoom if error.errno in NO_ROOM else StorageRefused
        raise kind(f"{target}: {_refusal(error)}") from error


def has_room(folder: Path, needed_bytes: int) -> bool:
    """Whether so much can be written into ``folder``: free space, quotas and limits as they are."""
    trial = folder / f".room{PART}"
    try:
        with trial.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed_bytes)
            else:
                return shutil.disk_usage(folder).free >= needed_bytes
    except OSError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def _refusal(error: OSError) -> str:
    if error.errno in NO_ROOM:
        return "the disk is full; make room, then run the same command again"
    if error.errno in NO_RIGHT:
        return "no right to write here; change the folder's owner or mode, or choose another --out"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a file stands where a folder is needed; move it, or choose another --out"
    where = f" at {error.filename}" if error.filename else ""
    return f"cannot be written: {error.strerror or error}{where}; see to the disk, then run again"


def remove_tree(folder: Path) -> None:
    """Removes what an interrupted write left, if it is there. Raises StorageRefused."""
    with writing(folder):
        if folder.is_dir():
            shutil.rmtree(folder)


def sha256(path: Path) -> str:
    """The hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    folder = path.is_dir()
    if folder and os.name == "nt":
        return  # Windows has no way to flush a folder; NTFS journals its renames
    # Windows flushes only what is open for writing; nobody can open a folder so.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
