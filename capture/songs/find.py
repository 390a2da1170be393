"""Finds the songs that a plan names.

A pattern is a glob on paths relative to the plan's folder: ``*``, ``?`` and ``[...]`` within one
name, ``**`` for any number of folders; ``~`` and absolute paths work. A pattern that is the exact
path of a file means that file, whatever its name holds. Hidden files are passed over. The order is
that of the patterns, then of the paths as text: the same on every machine, so that a plan has one
order of takes. ``demo:NAME`` and ``demo:*`` name the built-in songs.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from capture.errors import Fault
from capture.songs.demo import DEMOS

DEMO = "demo:"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a song comes from.

    ``name`` is the file's stem, or the demo song's name. ``where`` is the path as a person would
    write it in the plan (POSIX; relative to the plan's folder unless the pattern was absolute and
    led out of it), or ``demo:NAME``; it tells sources apart. ``path`` is None for a demo song.
    """

    name: str
    where: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Found:
    """The songs of a plan, each file once, in order.

    ``unmatched`` holds a fault for each pattern that names nothing, at its place in the plan
    (``songs.paths[i]``); ``idle`` the same for each exclusion that excludes nothing, which is
    worth a warning (most often it is misspelt).
    """

    sources: tuple[Source, ...]
    unmatched: tuple[Fault, ...]
    idle: tuple[Fault, ...]


def find(paths: Sequence[str], exclude: Sequence[str], folder: Path) -> Found:
    """The sources that ``paths`` names and ``exclude`` does not; nothing is opened."""
    sources: dict[object, Source] = {}
    unmatched: list[Fault] = []
    idle: set[int] = set(range(len(exclude)))
    for index, pattern in enumerate(paths):
        matches = list(_demos(pattern) if pattern.startswith(DEMO) else _files(pattern, folder))
        if not matches:
            unmatched.append(Fault(("songs", "paths", index), _nothing(pattern, folder)))
        for source in matches:
            banned = {i for i, text in enumerate(exclude) if _excludes(text, source)}
            idle -= banned
            if not banned:
                sources.setdefault(_identity(source), source)
    faults = [
        Fault(("songs", "exclude", i), f"{exclude[i]!r} excludes none of the songs")
        for i in sorted(idle)
    ]
    return Found(tuple(sources.values()), tuple(unmatched), tuple(faults))


def _demos(pattern: str) -> Iterator[Source]:
    for name in sorted(DEMOS):
        if fnmatchcase(name, pattern.removeprefix(DEMO)):
            yield Source(name, DEMO + name, None)


def _files(pattern: str, folder: Path) -> Iterator[Source]:
    given = Path(pattern).expanduser()
    if (folder / given).is_file():
        hits = [str(given)]
    else:
        # Path.glob takes no absolute pattern and would find hidden files.
        hits = glob.glob(str(given), root_dir=folder, recursive=True)  # noqa: PTH207
    found = [_source(hit, folder) for hit in hits]
    for source in sorted(found, key=lambda source: source.where):
        assert source.path is not None
        if source.path.is_file() and not source.path.name.startswith("."):
            yield source


def _source(hit: str, folder: Path) -> Source:
    path = Path(os.path.normpath(Path(os.path.abspath(folder)) / hit))  # noqa: PTH100 links stay
    try:
        where = path.relative_to(os.path.abspath(folder))  # noqa: PTH100 links stay
    except ValueError:
        where = Path(os.path.normpath(hit))
    return Source(_text(path.stem), _text(where.as_posix()), path)


def _text(name: str) -> str:
    """A file's name as text that can be stored and shown, even where it is no valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _identity(source: Source) -> object:
    return source.where if source.path is None else source.path.resolve()


def _nothing(pattern: str, folder: Path) -> str:
    if pattern.startswith(DEMO):
        known = ", ".join(DEMO + name for name in sorted(DEMOS))
        return f"{pattern!r} is no built-in song; there are {known} (demo:* means all)"
    return f"{pattern!r} matches no file in {folder}; give the path of a song, or a pattern"


def _excludes(pattern: str, source: Source) -> bool:
    if pattern.startswith(DEMO):
        return fnmatchcase(source.where, pattern)
    text = Path(pattern).expanduser().as_posix()
    absolute = posixpath.isabs(text) and source.path is not None
    where = source.path.as_posix() if absolute and source.path else source.where
    wanted = posixpath.normpath(text)
    return where == wanted or _matches(where.split("/"), wanted.split("/"))


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether the names of a path fit those of a pattern; ``**`` fits any number of names."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
