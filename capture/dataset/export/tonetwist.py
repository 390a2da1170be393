"""The layout of the ToneTwist AFx dataset, as nablafx loads it.

    DRY/trainval/SONG.input.wav                                 float32 stereo
    NAME/trainval/T060_A000_E025_U000/T060_A000_E025_U000.SONG.target.wav
    DRY/test/ ...   NAME/test/ ...
    settings.csv    which setting each of these folders is, with the panel's labels

A folder's name has a letter and a number for each control: how far its knob is turned, in percent
of its travel (the dataset's 0 to 10), which the loader divides by 100. Percents that are not whole
are written ``125e-1``: a dot would end the name for the loader. A control that has ``auto`` has a
flag of its own, 000 or 100; at ``auto`` its number is 000. ``trainval`` are the training songs at
the seen settings, ``test`` is all else.
Source: README.md of github mcomunita/tonetwist-afx-dataset, ``data.py`` of mcomunita/nablafx.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.export import core, facts
from capture.dataset.export.core import Done, File, Job, Layout
from capture.dataset.export.sound import FLOAT, write_wav
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Row, Snapshot
from capture.errors import BadInput

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each song."""
    table, left_out = core.planned(table)
    name = found.identity.get("name") or "dataset"
    codes = _codes(found)
    places = ["trainval" if side == "train" else "test" for side in core.sides(table)]
    rows: list[Row] = table.select(["song_id", "setting_id"]).to_pylist()
    dry: list[str] = []
    wet: list[str] = []
    for row, place in zip(rows, places, strict=True):
        song, code = row["song_id"], codes[row["setting_id"]]
        dry.append(f"DRY/{place}/{song}.input.wav")
        wet.append(f"{name}/{place}/{code}/{code}.{song}.target.wav")
    for column, values in (("_dry", dry), ("_wet", wet)):
        table = table.append_column(column, pyarrow().array(values, pyarrow().string()))
    return Layout(table, core.by_song(table), left_out, core.WHY_PLANNED)


def files(job: Job, sources: Sources) -> Iterator[File]:
    """The song, in each folder where it is needed, and its takes."""
    takes = [stretch.take for stretch in job.stretches]
    for name, take in {take["_dry"]: take for take in takes}.items():
        yield name, functools.partial(_write, take, "input", sources)
    for take in takes:
        yield take["_wet"], functools.partial(_write, take, "output", sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """The settings, and a card."""
    yield "settings.csv", functools.partial(_settings, found)
    yield "README.md", functools.partial(facts.card, found, {})


def _write(take: Row, kind: Any, sources: Sources, path: Path) -> None:
    blocks = sources.audio(take, kind)
    write_wav(path, take["sample_rate_hz"], 2, take["num_frames"], FLOAT, blocks)


def _settings(found: Snapshot, path: Path) -> None:
    codes = _codes(found)
    table = found.table("settings", ["setting_id", *found.controls])
    folders = [codes[name] for name in table["setting_id"].to_pylist()]
    core.write_csv(table.add_column(0, "folder", pyarrow().array(folders)), path)


def _codes(found: Snapshot) -> dict[str, str]:
    """The folder of each setting of the version.

    Raises BadInput where two settings would share one.
    """
    panel, names = facts.controls(found), found.controls
    letters = _letters(names)
    codes: dict[str, str] = {}
    for row in found.rows("settings", ["setting_id", *names]):
        words = (letters[name] + _percent(panel, name, row[name]) for name in names)
        codes[row["setting_id"]] = "_".join(words)
    if len(set(codes.values())) < len(codes):
        raise BadInput(
            f"{found.root}: some settings cannot be told apart by ToneTwist's names (two positions "
            "of a knob at the same number); choose another format"
        )
    return codes


def _percent(panel: dict[str, Any], name: str, value: Any) -> str:
    if name not in panel:  # the flag of a control that has auto
        return "100" if value else "000"
    percent = 0.0 if value is None else 100 * facts.travel(panel[name], value)
    if abs(percent - round(percent)) < 1e-9:
        return f"{round(percent):03d}"
    return f"{round(percent * 1e4)}e-4"


def _letters(names: list[str]) -> dict[str, str]:
    """A letter for each name, of its own ones as long as there are any."""
    chosen: dict[str, str] = {}
    for name in names:
        own = [letter for letter in name.upper() if letter in LETTERS]
        free = [letter for letter in (*own, *LETTERS) if letter not in chosen.values()]
        chosen[name] = free[0]
    return chosen
