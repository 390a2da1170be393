"""What a layout is: a table of takes, parts that are written each alone, and what ends it.

A layout has three functions (``Format``). ``lay_out`` names everything from the rows alone, so
every process that is asked for the same export makes the same plan. ``files`` writes a part: whole,
and without knowing of any other. ``finish`` writes what tells of all of them.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from capture.dataset.arrow import pyarrow
from capture.dataset.audio import Samples
from capture.dataset.export.sources import Gain, Sources
from capture.dataset.select import side_of
from capture.dataset.snapshot import Row, Snapshot

File = tuple[str, Callable[[Path], None]]
"""Where in the export, relative with ``/``; and what writes it to the path that it is given."""
Done = dict[str, dict[str, Any]]
"""``sha256`` and ``bytes`` of each file that is written, by its name."""

LEAST_SHARD_BYTES, SHARD_BYTES = 500_000_000, 950_000_000
"""Shards have so much, but for one that is all there is of its side."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The frames from ``start`` to ``end`` of the take in row ``index`` of the layout's table."""

    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one process writes at a time. ``name`` is a file name."""

    name: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """``table``: the takes with all their columns, and those that the layout adds.

    ``left_out``: how many takes the layout has no place for, and ``why`` in words.
    """

    table: Any
    parts: list[Part]
    left_out: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece as whoever writes it gets it: with its row."""

    take: Row
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Job:
    """A part as it is sent to a process. ``schema``: pyarrow's, of the rows."""

    name: str
    stretches: list[Stretch]
    schema: Any


class Format(Protocol):
    """One layout."""

    def lay_out(self, found: Snapshot, table: Any) -> Layout:
        """The plan for the takes of ``table``. Raises DamagedData and BadInput."""
        ...

    def files(self, job: Job, sources: Sources) -> Iterator[File]:
        """The files of a part, in the order in which they are written."""
        ...

    def finish(self, found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
        """The files that come when all parts are there; ``done`` are theirs."""
        ...


def job(layout: Layout, part: Part) -> Job:
    """The part with its rows."""
    indexes = list(dict.fromkeys(piece.index for piece in part.pieces))
    rows = dict(zip(indexes, layout.table.take(indexes).to_pylist(), strict=True))
    stretches = [Stretch(rows[piece.index], piece.start, piece.end) for piece in part.pieces]
    return Job(part.name, stretches, layout.table.schema)


def by_song(table: Any) -> list[Part]:
    """A part for each song, named after it."""
    songs: dict[str, list[Piece]] = defaultdict(list)
    rows: list[Row] = table.select(["song_id", "num_frames"]).to_pylist()
    for index, row in enumerate(rows):
        songs[row["song_id"]].append(Piece(index, 0, row["num_frames"]))
    return [Part(song, tuple(pieces)) for song, pieces in songs.items()]


def write_csv(table: Any, path: Path) -> None:
    """The pyarrow.Table as CSV: absent is empty, booleans are true and false."""
    importlib.import_module("pyarrow.csv").write_csv(table, path)


def sides(table: Any) -> list[str]:
    """``side_of`` each row."""
    return [side_of(row) for row in table.select(["split", "setting_split"]).to_pylist()]


def planned(table: Any) -> tuple[Any, int]:
    """The takes without those that show the drift, and how many those are.

    For layouts whose names have one place for a song at a setting.
    """
    compute = pyarrow().compute
    kept = table.filter(compute.equal(table["repeat"], 1))
    return kept, len(table) - len(kept)


WHY_PLANNED = (
    "takes of the reference (repeat 2 and above): the layout has one place per song and setting"
)


def shards(table: Any, sources: Sources, segment_s: float) -> list[Part]:
    """Parts of 0.5 to 1 GB of one side each, cut between segments of ``segment_s``.

    By the sizes of the files that are there: of input and output as they are, of the gain as
    float32. A side that has less is one part.
    """
    columns = [
        "input_file", "output_file", "num_frames", "sample_rate_hz", "take_id",
    ]  # fmt: skip
    rows: list[Row] = table.select(columns).to_pylist()
    members: dict[str, list[int]] = defaultdict(list)
    for index, side in enumerate(sides(table)):
        members[side].append(index)
    inputs: dict[str, int] = {}
    for row in rows:
        name = row["input_file"]
        inputs[name] = inputs.get(name) or sources.size_bytes(row, "input")
    parts: list[Part] = []
    for side, indexes in sorted(members.items()):
        sizes = {
            index: inputs[rows[index]["input_file"]]
            + sources.size_bytes(rows[index], "output")
            + 4 * rows[index]["num_frames"]
            for index in indexes
        }
        for number, pieces in enumerate(_dealt(rows, sizes, segment_s)):
            parts.append(Part(f"{side}-{number:06d}", tuple(pieces)))
    return parts


def _dealt(rows: Sequence[Row], sizes: dict[int, int], segment_s: float) -> Iterator[list[Piece]]:
    """Segment after segment, in shards of one size."""
    total = sum(sizes.values())
    count = -(-total // SHARD_BYTES)
    goal = total / (count - 1 if count > 1 and total / count < LEAST_SHARD_BYTES else count)
    pieces: list[Piece] = []
    filled = given = 0.0
    for index, size in sizes.items():
        frames = rows[index]["num_frames"]
        length = round(segment_s * rows[index]["sample_rate_hz"])
        for start, end in segments(0, frames, length):
            if filled >= goal and total - given > goal / 2:
                yield pieces
                pieces, filled = [], 0.0
            if pieces and pieces[-1].index == index:
                pieces[-1] = Piece(index, pieces[-1].start, end)
            else:
                pieces.append(Piece(index, start, end))
            filled += size * (end - start) / frames
            given += size * (end - start) / frames
    yield pieces


def segments(start: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    """From ``start`` to ``end`` in steps of ``length``; the last one is what is left."""
    for begin in range(start, end, length):
        yield begin, min(begin + length, end)


def narrowed(found: Snapshot, table: Any) -> Any:
    """Only the columns that go with every sample, and those that its files are made from."""
    return table.select(list(dict.fromkeys((*IDS, *found.controls, *FACTS, *MADE_FROM))))


def facts(take: Row) -> Row:
    """What of a narrowed row goes with every sample of it: ids, splits, knobs, law, delays."""
    return {name: value for name, value in take.items() if name not in MADE_FROM}


@dataclass(frozen=True, slots=True)
class Sample:
    """Segment ``number`` of a take: its frames from ``start`` to ``end``.

    ``input`` and ``output`` (frames, 2) as ``audio`` has them; ``gain_db`` (frames,) float32.
    """

    take: Row
    number: int
    start: int
    end: int
    input: Samples
    output: Samples
    gain_db: Gain

    @property
    def facts(self) -> Row:
        """What there is to say of it, ``num_frames`` being the segment's."""
        return facts(self.take) | {
            "segment": self.number,
            "start_frame": self.start,
            "num_frames": self.end - self.start,
            "take_frames": self.take["num_frames"],
        }


def samples(one: Job, sources: Sources, segment_s: float) -> Iterator[Sample]:
    """The part segment by segment. The last of a take is shorter: nothing is made up to fill it."""
    for stretch in one.stretches:
        take, start, end = stretch.take, stretch.start, stretch.end
        length = round(segment_s * take["sample_rate_hz"])
        for (begin, stop), dry, wet, gain_db in zip(
            segments(start, end, length),
            sources.audio(take, "input", start, end, length),
            sources.audio(take, "output", start, end, length),
            sources.gain_db(take, start, end, length),
            strict=True,
        ):
            yield Sample(take, begin // length, begin, stop, dry, wet, gain_db)


IDS = ("take_id", "song_id", "setting_id", "repeat", "split", "setting_split")
FACTS = (
    "sample_rate_hz",
    "delay_left_frames",
    "delay_right_frames",
    "delay_cv_frames",
    "gain_db_per_fs",
    "gain_db_at_zero",
    "gain_law_origin",
    "send_gain_db",
    "calibration_id",
    "session_id",
    "captured_at",
    "input_sha256",
    "output_sha256",
    "cv_sha256",
)
MADE_FROM = (
    "input_file", "output_file", "cv_file", "num_frames",
    "cv_corner_hz", "cv_offset_fs", "cv_start_fs",
)  # fmt: skip
