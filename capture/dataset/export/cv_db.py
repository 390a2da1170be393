"""The layout of the G384 control-voltage dataset (arXiv 2606.18573).

    audio_in/SONG.wav                   24-bit stereo
    audio_out/p018/SONG_p018.wav        24-bit stereo
    cv/p018/SONG_p018.wav               float32 mono, signed dB of gain: negative = attenuation
    metadata/metadata_main.parquet      a row for each take; paths from the export's root

``pNNN`` is the setting, counted from 1 in the order of the version's ``settings``, whatever part of
it is exported. A take that is repeated has ``_r2`` and so on at its name's end.
Source: names and columns as its authors' own programs read them (github obscureSignals/
torchCompTrain, ``cfg/data/ssl_cv.yaml`` and ``run_loss_regime_sweep.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.export import core
from capture.dataset.export.core import Done, File, Job, Layout
from capture.dataset.export.sound import FLOAT, PCM, write_wav
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Row, Snapshot

PATHS = ("input_file", "output_file", "cv_file", "markers_file")
"""Columns of the dataset that lead nowhere in the export."""


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each song."""
    settings = found.table("settings", ["setting_id"])["setting_id"].to_pylist()
    numbers = {name: f"p{number:03d}" for number, name in enumerate(settings, 1)}
    flags = [name for name in found.controls if name.endswith("_auto")]
    rows: list[Row] = table.select(["song_id", "setting_id", "repeat", *flags]).to_pylist()
    added: dict[str, list[str]] = {}
    for row in rows:
        for name, value in _names(row, numbers[row["setting_id"]], flags).items():
            added.setdefault(name, []).append(value)
    for name, values in added.items():
        table = table.append_column(name, pyarrow().array(values))
    return Layout(table, core.by_song(table))


def _names(row: Row, number: str, flags: list[str]) -> Row:
    song = row["song_id"]
    end = f"_r{row['repeat']}" if row["repeat"] > 1 else ""
    file = f"{number}/{song}_{number}{end}.wav"
    return {
        "clip_id": song,
        "permutation_id": number,
        "audio_in_path": f"audio_in/{song}.wav",
        "audio_out_path": f"audio_out/{file}",
        "cv_path": f"cv/{file}",
        **{flag.removesuffix("_auto") + "_mode": _mode(row[flag]) for flag in flags},
    }


def _mode(auto: bool) -> str:
    return "auto" if auto else "manual"


def files(job: Job, sources: Sources) -> Iterator[File]:
    """The song, and each of its takes."""
    first = job.stretches[0].take
    yield first["audio_in_path"], functools.partial(_audio, first, "input", sources)
    for stretch in job.stretches:
        take = stretch.take
        yield take["audio_out_path"], functools.partial(_audio, take, "output", sources)
        yield take["cv_path"], functools.partial(_gain, take, sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """The metadata."""
    table = layout.table.drop_columns([n for n in PATHS if n in layout.table.column_names])
    write = pyarrow().parquet.write_table
    yield "metadata/metadata_main.parquet", functools.partial(write, table)


def _audio(take: Row, kind: Any, sources: Sources, path: Path) -> None:
    blocks = sources.audio(take, kind)
    write_wav(path, take["sample_rate_hz"], 2, take["num_frames"], PCM, blocks)


def _gain(take: Row, sources: Sources, path: Path) -> None:
    blocks = sources.gain_db(take)
    write_wav(path, take["sample_rate_hz"], 1, take["num_frames"], FLOAT, blocks)
