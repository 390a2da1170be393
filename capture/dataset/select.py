"""Part of a version of a dataset: some songs, so many hours, some settings.

Whatever is taken by number is taken from the front of one order, so a smaller part is in every
larger one of the same seed. The order ranks by a hash of (seed, content): no name, path or clock
decides, and every machine has the same. The songs of ``train`` and those of ``test`` are dealt in
the proportion of the whole, so that every part keeps its splits.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from capture.dataset import query
from capture.dataset.arrow import pyarrow
from capture.dataset.snapshot import Row, Snapshot
from capture.documents import nearest
from capture.errors import BadInput

T = TypeVar("T")

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Selection:
    """What to take. ``songs``: a number of songs, or their ids with commas; None: all of them.

    ``settings``: a query over the columns of ``takes`` (``query``), which is asked first; the songs
    are then taken from those that are left, and the hours from their takes. ``hours`` counts each
    take's length.
    """

    songs: str | None = None
    hours: float | None = None
    settings: str | None = None
    seed: int = 0

    def __str__(self) -> str:
        asked = [f"{name} {value}" for name, value in asdict(self).items() if value is not None]
        return ", ".join(asked)


def takes(found: Snapshot, wanted: Selection) -> Any:
    """The selected rows of ``takes`` as a pyarrow.Table with all columns, ordered by song.

    Within a song they are in the manifest's order.

    Raises:
        BadInput: the selection asks for what there is not, or selects nothing.
        DamagedData: a table cannot be read.
    """
    table = found.table("takes")
    if wanted.settings is not None:
        try:
            table = table.filter(query.mask(table, wanted.settings))
        except BadInput as error:
            raise BadInput(*(f"--settings: {message}" for message in error.messages)) from None
    if not len(table):
        raise BadInput(
            f"{found.root}: no take is as --settings asks: {wanted.settings}"
            if wanted.settings
            else f"{found.root}: holds no takes yet; capture some first (capture run)"
        )
    if wanted.songs is not None:
        there = set(table["song_id"].unique().to_pylist())
        songs = _songs(_song_rows(found, there), wanted.songs, wanted.seed)
        table = table.filter(_one_of(table["song_id"], songs))
    if wanted.hours is not None:
        table = table.filter(_one_of(table["take_id"], _for_hours(table, wanted)))
    positions = pyarrow().array(range(len(table)))
    return (
        table.append_column("_position", positions)
        .sort_by([("song_id", "ascending"), ("_position", "ascending")])
        .drop_columns(["_position"])
    )


def song_ids(
    found: Snapshot, wanted: str | None, seed: int = 0, part: str | None = None
) -> set[str] | None:
    """The songs that ``--songs`` names, of those in the snapshot; None: all of them.

    ``wanted``: a number (so many of the seeded order) or ids with commas. ``part``: ``3/16``, every
    16th of those from the third on.

    Raises BadInput.
    """
    if wanted is None and part is None:
        return None
    rows = _song_rows(found)
    chosen = sorted(_songs(rows, wanted, seed) if wanted else {row["song_id"] for row in rows})
    return set(every(chosen, part))


def every(items: Sequence[T], part: str | None) -> list[T]:
    """The items of slice ``part``: ``3/16`` is every 16th from the third on; None: all.

    The sixteen slices share nothing and are together everything. Raises BadInput.
    """
    if part is None:
        return list(items)
    number, _, count = part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise BadInput(
            f"--slice {part}: is not NUMBER/COUNT; 1/16 is the first of 16, 16/16 the last"
        )
    return list(items[int(number) - 1 :: int(count)])


def dealt(
    items: Sequence[T], seed: int, content: Callable[[T], str], side: Callable[[T], str | None]
) -> list[T]:
    """``items`` in the order of the seed: each side by the hash of its content, the sides dealt.

    A side with a third of the items has, as nearly as can be, a third of every beginning.
    """

    def rank(item: T) -> str:
        return hashlib.sha256(f"subset:{seed}:{content(item)}".encode()).hexdigest()

    sides: dict[str, list[T]] = defaultdict(list)
    for item in items:
        sides[side(item) or ""].append(item)
    placed = [
        ((place + 0.5) / len(members), name, item)
        for name, members in sides.items()
        for place, item in enumerate(sorted(members, key=rank))
    ]
    return [item for _, _, item in sorted(placed, key=lambda one: one[:2])]


def _song_rows(found: Snapshot, there: set[str] | None = None) -> list[Row]:
    rows = found.rows("songs", ["song_id", "source_sha256", "split"])
    return [row for row in rows if there is None or row["song_id"] in there]


def side_of(take: Row) -> str:
    """Where a take stands: ``train``, ``unseen_song``, ``unseen_setting``, ``unseen_both``.

    ``reference`` is one that shows the rack's drift. All is ``train`` where there are no splits.
    """
    if take["setting_split"] == "reference":
        return "reference"
    song, setting = take["split"] == "test", take["setting_split"] == "unseen"
    if song and setting:
        return "unseen_both"
    return "unseen_song" if song else "unseen_setting" if setting else "train"


def _songs(rows: Sequence[Row], wanted: str, seed: int) -> set[str]:
    if wanted.strip().isdecimal():
        count = int(wanted)
        if not 1 <= count <= len(rows):
            raise BadInput(f"--songs {count}: there are {len(rows)} songs to choose from")
        ranked = dealt(rows, seed, lambda row: row["source_sha256"], lambda row: row["split"])
        return {row["song_id"] for row in ranked[:count]}
    known = {row["song_id"] for row in rows}
    asked = [name for word in wanted.split(",") if (name := word.strip())]
    if not asked:
        raise BadInput(f"--songs '{wanted}': give a number of songs, or ids with commas between")
    if strangers := [name for name in asked if name not in known]:
        raise BadInput(
            *(f"--songs: there is no song {name}{nearest(name, known)}" for name in strangers)
        )
    return set(asked)


def _for_hours(table: Any, wanted: Selection) -> list[str]:
    """The takes at the front of the seeded order that last so many hours together."""
    assert wanted.hours is not None
    columns = ["take_id", "split", "num_frames", "sample_rate_hz"]
    rows: list[Row] = table.select(columns).to_pylist()
    total_s = sum(row["num_frames"] / row["sample_rate_hz"] for row in rows)
    if not 0 < wanted.hours * HOUR_S <= total_s * (1 + 1e-9):
        raise BadInput(
            f"--hours {wanted.hours:g}: there are {total_s / HOUR_S:.6g} hours to choose from"
        )
    chosen: list[str] = []
    left_s = wanted.hours * HOUR_S * (1 + 1e-9)
    for row in dealt(rows, wanted.seed, lambda row: row["take_id"], lambda row: row["split"]):
        left_s -= row["num_frames"] / row["sample_rate_hz"]
        if left_s < 0:
            break
        chosen.append(row["take_id"])
    if not chosen:
        raise BadInput(f"--hours {wanted.hours:g}: is less than the first take of the order lasts")
    return chosen


def _one_of(column: Any, values: Sequence[str] | set[str]) -> Any:
    pa = pyarrow()
    return pa.compute.is_in(column, value_set=pa.array(sorted(values), pa.string()))
