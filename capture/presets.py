"""Finds a plan or a rig: a file of the user's by its path, or a packaged one by its name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from capture.documents import Document, nearest, read
from capture.errors import BadInput

Kind = Literal["plan", "rig"]
NAME_SHOWN = 200
PACKAGES = {"plan": "capture.sessions", "rig": "capture.rigs"}


@dataclass(frozen=True)
class Found:
    """A document, and the folder from which the paths in it are meant."""

    document: Document
    folder: Path


def names(kind: Kind) -> list[str]:
    """The names of the packaged presets."""
    folder = resources.files(PACKAGES[kind])
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if _yaml(item.name))


def find(kind: Kind, name: str, folder: Path) -> Found:
    """The document at path ``name`` (relative to ``folder``), or the preset of that name.

    Paths in a preset are meant from ``folder``; paths in a file, from the file's own folder.
    Raises BadInput.
    """
    try:
        path = folder / Path(name).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError) as error:  # no right to look, a name too long, no such user
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"{name[:NAME_SHOWN]}: cannot be looked for: {reason}") from None
    if is_file:
        return Found(read(_text(path), name), path.parent)
    if is_folder:
        raise BadInput(f"{name}: is a folder; give the {kind}'s YAML file, or a preset's name")
    preset = name.removesuffix(".yaml")
    if preset in names(kind):
        return Found(read(packaged(kind, preset), f"{kind} {preset}"), folder)
    raise BadInput(
        f"{name[:NAME_SHOWN]}: there is no such file, and no {kind} preset of that name"
        f"{nearest(preset, names(kind))}"
    )


def packaged(kind: Kind, preset: str) -> str:
    """The text of a packaged preset."""
    return resources.files(PACKAGES[kind]).joinpath(f"{preset}.yaml").read_text("utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def _yaml(name: str) -> bool:
    return name.endswith(".yaml") and not name.startswith(".")
