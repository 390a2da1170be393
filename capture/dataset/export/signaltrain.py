"""The layout of the SignalTrain datasets (LA-2A).

    effect_info.ini                                the knobs' names and ranges
    Train/input_7_.wav                             float32 stereo
    Train/target_7_NAME__-28__0.1__0__1__4.wav     float32 stereo; the knobs in the .ini's order
    Val/ ...  Test/ ...
    takes.csv                                      which take is which number

The panel's labels stand in the name after two underscores each. A control that has ``auto`` has a
flag of its own, 0 or 1; at ``auto`` its number is 0. Every take has its input beside it, as the
loaders pair the files by their order. ``Test`` is all but the training songs at seen settings.
The loaders need a ``Val``: one training song in ten, at least one, the same ones every time.
Float32, as SignalTrain's reader scales 16-bit integers only; no chunk that SciPy does not know.
Source: ``FileEffect`` in ``signaltrain/audio.py`` and ``AudioFileDataSet`` in ``datasets.py`` of
github drscotthawley/signaltrain; ``data.py`` of csteinmetz1/micro-tcn.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture.dataset import select
from capture.dataset.arrow import pyarrow
from capture.dataset.export import core, facts
from capture.dataset.export.core import Done, File, Job, Layout
from capture.dataset.export.sound import FLOAT, write_wav
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Row, Snapshot
from capture.model import base_name, format_value

ONE_IN = 10


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each song."""
    table, left_out = core.planned(table)
    names, effect = found.controls, _effect(found)
    sides = core.sides(table)
    columns = ["song_id", "input_sha256", *names]
    rows: list[Row] = table.select(columns).to_pylist()
    held_back = _held_back([row for row, side in zip(rows, sides, strict=True) if side == "train"])
    inputs: list[str] = []
    targets: list[str] = []
    for number, (row, side) in enumerate(zip(rows, sides, strict=True), 1):
        held = row["song_id"] in held_back
        folder = "Test" if side != "train" else "Val" if held else "Train"
        knobs = "".join(f"__{format_value(v)}" for v in facts.knobs(row, names).values())
        inputs.append(f"{folder}/input_{number}_.wav")
        targets.append(f"{folder}/target_{number}_{effect}{knobs}.wav")
    for name, values in (("target", targets), ("input", inputs)):
        table = table.add_column(0, name, pyarrow().array(values, pyarrow().string()))
    return Layout(table, core.by_song(table), left_out, core.WHY_PLANNED)


def files(job: Job, sources: Sources) -> Iterator[File]:
    """Each take: its input, its target."""
    for stretch in job.stretches:
        take = stretch.take
        yield take["input"], functools.partial(_write, take, "input", sources)
        yield take["target"], functools.partial(_write, take, "output", sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """The .ini, and the table of numbers."""
    yield "effect_info.ini", functools.partial(_ini, found)
    columns = ["input", "target", *core.IDS, *found.controls]
    yield "takes.csv", functools.partial(core.write_csv, layout.table.select(columns))


def _write(take: Row, kind: Any, sources: Sources, path: Path) -> None:
    blocks = sources.audio(take, kind)
    write_wav(path, take["sample_rate_hz"], 2, take["num_frames"], FLOAT, blocks)


def _held_back(rows: list[Row]) -> set[str]:
    """The training songs of ``Val``; none where there is only one song to train with."""
    songs = {row["song_id"]: row["input_sha256"] for row in rows}
    ranked = select.dealt(list(songs), 0, lambda song: songs[song], lambda song: "val")
    return set(ranked[: max(1, len(songs) // ONE_IN)] if len(songs) > 1 else [])


def _effect(found: Snapshot) -> str:
    """The dataset's name without what the names have a use for: a double underscore."""
    return re.sub(r"_{2,}", "_", str(found.identity.get("name") or "compressor")).strip("_")


def _ini(found: Snapshot, path: Path) -> None:
    panel = facts.controls(found)
    ranges: list[list[float]] = []
    for name in found.controls:
        low, high = facts.bounds(panel[name]) if name in panel else (0.0, 1.0)
        if f"{base_name(name)}_auto" in found.controls and name in panel:  # auto stands at 0
            low, high = min(low, 0.0), max(high, 0.0)
        ranges.append([low, high if high > low else low + 1])
    effect = _effect(found).replace("%", "%%")  # ConfigParser's own sign
    lines = [
        "[effect]",
        f"name = {effect}",
        f"knob_names = {found.controls!r}",
        f"knob_ranges = {ranges!r}",
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
