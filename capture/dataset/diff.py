"""What changed between two versions of a dataset, and which number the later one must have. Pure.

Takes are compared by id, cell by cell. A take that was recorded again is another take: what it
takes the place of is the one with the same song, setting and planned repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from capture.dataset.arrow import pyarrow
from capture.dataset.version import Bump
from capture.model import REVISION


class Tables(Protocol):
    """A version's tables; ``snapshot.Snapshot`` is one."""

    def columns(self, name: str) -> list[str]: ...

    def table(self, name: str, columns: Sequence[str] | None = None) -> Any: ...


COMPARED = {
    "takes": "take_id",
    "songs": "song_id",
    "settings": "setting_id",
    "calibrations": "calibration_id",
    "laws": "law_id",
    "fingerprints": "fingerprint_id",
}
"""The tables that a take's meaning is in, and what names their rows."""
COUNTS = {"settings": {"takes", "setting_split"}, "takes": {"superseded_by"}}
"""Columns that sum up takes, or say what became of them."""
SPLITS = {"split", "setting_split"}


@dataclass(frozen=True, slots=True)
class Diff:
    """Ids of takes, but for ``changed`` and the columns: those are by table.

    ``superseded``: pairs of the take that was, and the one in its place. ``changed``: by table and
    column, the ids of the rows that say something else now. ``lost``: rows, not takes, that are
    gone, by table.
    """

    added: Sequence[str]
    superseded: Sequence[tuple[str, str]]
    removed: Sequence[str]
    resplit: Sequence[str]
    changed: dict[str, dict[str, list[str]]]
    lost: dict[str, list[str]]
    columns_added: dict[str, list[str]]
    columns_removed: dict[str, list[str]]

    @property
    def bump(self) -> Bump:
        """What kind of change that is, as ``version`` defines it."""
        if self.superseded or self.removed or self.resplit or self.changed:
            return "major"
        if self.lost or self.columns_removed:
            return "major"
        return "minor" if self.added or self.columns_added else "patch"


def diff(before: Tables, after: Tables) -> Diff:
    """From one version to a later one. Whatever the tables raise is let through."""
    changed: dict[str, dict[str, list[str]]] = {}
    lost: dict[str, list[str]] = {}
    for name, key in COMPARED.items():
        if found := _changes(before, after, name, key):
            changed[name] = found
        gone = sorted(_keys(before, name, key) - _keys(after, name, key))
        if gone and name not in ("takes", "settings"):  # a setting is gone with its last take
            lost[name] = gone
    takes_before, takes_after = (_keys(version, "takes", "take_id") for version in (before, after))
    superseded, removed = _gone(before, after, takes_before - takes_after)
    added = takes_after - takes_before - {later for _, later in superseded}
    of_takes = changed.pop("takes", {})
    resplit = sorted({one for column in SPLITS for one in of_takes.pop(column, [])})
    if of_takes:
        changed["takes"] = of_takes
    return Diff(
        added=sorted(added),
        superseded=superseded,
        removed=removed,
        resplit=resplit,
        changed=changed,
        lost=lost,
        columns_added=_columns_more(after, before),
        columns_removed=_columns_more(before, after),
    )


def _columns_more(some: Tables, other: Tables) -> dict[str, list[str]]:
    """By table, the columns that ``other`` lacks."""
    found: dict[str, list[str]] = {}
    for name in COMPARED:
        known = set(other.columns(name))
        if more := [column for column in some.columns(name) if column not in known]:
            found[name] = more
    return found


def _keys(version: Tables, name: str, key: str) -> set[str]:
    return set(version.table(name, [key])[key].to_pylist())


def _gone(
    before: Tables, after: Tables, missing: set[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """The takes that the new version lacks: those that another took the place of, and the rest."""
    if not missing:
        return [], []
    later = {place: take_id for take_id, place in _places(after)}
    pairs = {one: later.get(place) for one, place in _places(before) if one in missing}
    superseded = sorted((one, follower) for one, follower in pairs.items() if follower)
    return superseded, sorted(one for one, follower in pairs.items() if not follower)


def _places(version: Tables) -> list[tuple[str, tuple[str, str, int]]]:
    """Each take, and which planned take it is."""
    columns = ("take_id", "song_id", "setting_id", "repeat")
    takes = version.table("takes", columns)
    cells = zip(*(takes[name].to_pylist() for name in columns), strict=True)
    return [(one, (song, setting, repeat % REVISION)) for one, song, setting, repeat in cells]


def _changes(before: Tables, after: Tables, name: str, key: str) -> dict[str, list[str]]:
    """By column, the keys of the rows in both versions whose cells differ. Null equals null.

    Read column by column: a whole table of a large dataset, twice, is a lot of memory.
    """
    compute = pyarrow().compute
    keys = before.table(name, [key])[key]
    at = compute.index_in(keys, value_set=after.table(name, [key])[key].combine_chunks())
    both = compute.is_valid(at)
    keys, at = keys.filter(both), at.filter(both)
    found: dict[str, list[str]] = {}
    common = set(after.columns(name)) - COUNTS.get(name, set())
    for column in before.columns(name):
        if column not in common:
            continue
        first = before.table(name, [column])[column].filter(both)
        second = after.table(name, [column])[column].take(at)
        if not first.type.equals(second.type):
            found[column] = keys.to_pylist()
            continue
        same = compute.fill_null(compute.equal(first, second), False)
        none = compute.and_(compute.is_null(first), compute.is_null(second))
        differ = compute.invert(compute.or_(same, none))
        if rows := keys.filter(differ).to_pylist():
            found[column] = rows
    return found
