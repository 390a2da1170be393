"""What changed between two versions of a dataset, and which number the later one must have. Pure.

Takes are compared by id, cell by cell. A take that was recorded again is another take: what it
takes the place of is the one with the same song, setting and planned repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.version import Bump
from capture.model import REVISION

Read = Callable[[str], Any]
"""Gives a version's table, a pyarrow.Table, by its name."""
COMPARED = {
    "takes": "take_id",
    "songs": "song_id",
    "settings": "setting_id",
    "calibrations": "calibration_id",
    "laws": "law_id",
    "fingerprints": "fingerprint_id",
}
"""The tables that a take's meaning is in, and what names their rows."""
COUNTS = {"settings": {"takes", "setting_split"}}
"""Columns that sum up takes."""
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


def diff(before: Read, after: Read) -> Diff:
    """From one version to a later one. Whatever the tables raise is let through."""
    changed: dict[str, dict[str, list[str]]] = {}
    lost: dict[str, list[str]] = {}
    columns_added: dict[str, list[str]] = {}
    columns_removed: dict[str, list[str]] = {}
    for name, key in COMPARED.items():
        if name == "takes":
            continue
        old, new = before(name), after(name)
        _columns(name, old, new, columns_added, columns_removed)
        gone = _without(old, new, key)
        if gone and name == "settings":
            gone = []  # a setting is gone with its last take
        if gone:
            lost[name] = gone
        if found := _changes(old, new, key, COUNTS.get(name, set())):
            changed[name] = found
    old, new = before("takes"), after("takes")
    _columns("takes", old, new, columns_added, columns_removed)
    superseded, removed = _gone(old, new)
    added = set(_without(new, old, "take_id")) - {later for _, later in superseded}
    found = _changes(old, new, "take_id", {"superseded_by"})
    resplit = sorted({one for column in SPLITS for one in found.pop(column, [])})
    if found:
        changed["takes"] = found
    return Diff(
        sorted(added), superseded, removed, resplit, changed, lost, columns_added, columns_removed
    )


def _columns(
    name: str, old: Any, new: Any, added: dict[str, list[str]], removed: dict[str, list[str]]
) -> None:
    for into, some, other in ((added, new, old), (removed, old, new)):
        if more := [column for column in some.column_names if column not in other.column_names]:
            into[name] = more


def _without(some: Any, other: Any, key: str) -> list[str]:
    """The keys of ``some`` that ``other`` lacks, sorted."""
    return sorted(set(some[key].to_pylist()) - set(other[key].to_pylist()))


def _gone(old: Any, new: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """The takes that the new version lacks: those that another took the place of, and the rest."""
    missing = set(_without(old, new, "take_id"))
    if not missing:
        return [], []
    later = {place: take_id for take_id, place in _places(new)}
    pairs = {one: later.get(place) for one, place in _places(old) if one in missing}
    superseded = sorted((one, follower) for one, follower in pairs.items() if follower)
    return superseded, sorted(one for one, follower in pairs.items() if not follower)


def _places(takes: Any) -> list[tuple[str, tuple[str, str, int]]]:
    """Each take, and which planned take it is."""
    columns = ("take_id", "song_id", "setting_id", "repeat")
    cells = zip(*(takes[name].to_pylist() for name in columns), strict=True)
    return [(one, (song, setting, repeat % REVISION)) for one, song, setting, repeat in cells]


def _changes(old: Any, new: Any, key: str, ignored: set[str]) -> dict[str, list[str]]:
    """By column, the keys of the rows in both tables whose cells differ. Null equals null."""
    pa = pyarrow()
    compute = pa.compute
    at = compute.index_in(old[key], value_set=new[key].combine_chunks())
    both = compute.is_valid(at)
    old, new = old.filter(both), new.take(at.filter(both))
    found: dict[str, list[str]] = {}
    for name in old.column_names:
        if name in ignored or name not in new.column_names:
            continue
        first, second = old[name], new[name]
        if not first.type.equals(second.type):
            found[name] = old[key].to_pylist()
            continue
        same = compute.fill_null(compute.equal(first, second), False)
        none = compute.and_(compute.is_null(first), compute.is_null(second))
        differ = compute.invert(compute.or_(same, none))
        if rows := old[key].filter(differ).to_pylist():
            found[name] = rows
    return found
