"""A Frictionless Data Package (version 2): tables as CSV, the audio as it is, and the gain.

    datapackage.json                  every file with its SHA-256 and size; the columns' types
    takes.csv songs.csv settings.csv  with primary and foreign keys
    data/inputs/SONG.flac  data/takes/SONG/TAKE.out.flac    the dataset's own files, byte for byte
    gain/SONG/TAKE.gain.wav           float32 mono, dB, negative = attenuation

In ``takes.csv`` ``gain_file`` takes the place of ``cv_file``: the raw CV stays in the dataset.
Source: datapackage.org, Data Package, Data Resource and Table Schema 2.0.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.export import core, facts
from capture.dataset.export.core import Done, File, Job, Layout
from capture.dataset.export.sound import FLOAT, write_wav
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Row, Snapshot

LEFT_OUT = ("cv_file", "markers_file")
KEYS = {"takes": "take_id", "songs": "song_id", "settings": "setting_id"}
FOREIGN = {"takes": ("songs", "settings")}
MEDIA = {".flac": "audio/flac", ".wav": "audio/wav"}


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each song."""
    rows: list[Row] = table.select(["song_id", "output_file"]).to_pylist()
    gains = [
        f"gain/{row['song_id']}/"
        + PurePosixPath(row["output_file"]).name.removesuffix(".out.flac")
        + ".gain.wav"
        for row in rows
    ]
    table = table.append_column("gain_file", pyarrow().array(gains, pyarrow().string()))
    return Layout(table, core.by_song(table))


def files(job: Job, sources: Sources) -> Iterator[File]:
    """The song, and each of its takes."""
    first = job.stretches[0].take
    yield first["input_file"], functools.partial(sources.copy, first, "input")
    for stretch in job.stretches:
        take = stretch.take
        yield take["output_file"], functools.partial(sources.copy, take, "output")
        yield take["gain_file"], functools.partial(_gain, take, sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """The tables, then the package, which has their hashes."""
    tables = _tables(found, layout)
    for name, table in tables.items():
        yield f"{name}.csv", functools.partial(core.write_csv, table)
    yield "datapackage.json", functools.partial(_package, found, tables, done)


def _tables(found: Snapshot, layout: Layout) -> dict[str, Any]:
    """Only what the selected takes name."""
    compute = pyarrow().compute
    takes = layout.table.drop_columns([n for n in LEFT_OUT if n in layout.table.column_names])
    tables = {"takes": takes}
    for name in FOREIGN["takes"]:
        table, key = found.table(name), KEYS[name]
        tables[name] = table.filter(
            compute.is_in(table[key], value_set=takes[key].combine_chunks())
        )
    return tables


def _gain(take: Row, sources: Sources, path: Path) -> None:
    blocks = sources.gain_db(take)
    write_wav(path, take["sample_rate_hz"], 1, take["num_frames"], FLOAT, blocks)


def _package(found: Snapshot, tables: dict[str, Any], done: Done, path: Path) -> None:
    told = facts.about(found)
    resources = [_table_resource(name, table, done) for name, table in tables.items()]
    resources += [
        _resource(re.sub(r"[^a-z0-9._-]+", "-", file.lower()), file, done)
        for file in sorted(done)
        if PurePosixPath(file).suffix in MEDIA
    ]
    package: Row = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": re.sub(r"[^a-z0-9._-]+", "-", str(found.identity.get("name")).lower()),
        "id": found.identity.get("dataset_id"),
        "created": found.identity.get("created_at"),
        "title": told.title,
        "description": told.description,
        "version": str(found.version) if found.version else None,
        "homepage": told.url,
        "licenses": [_license(told.license)] if told.license else None,
        "contributors": [{"title": n, "roles": ["creator"]} for n in told.creators] or None,
        "keywords": told.keywords or None,
        "resources": resources,
    }
    stated = {key: value for key, value in package.items() if value is not None}
    path.write_text(json.dumps(stated, indent=1) + "\n", "utf-8", newline="\n")


def _license(text: str) -> Row:
    return {"path": text} if "://" in text else {"name": text}


def _resource(name: str, file: str, done: Done) -> Row:
    end = PurePosixPath(file).suffix
    return {
        "name": name,
        "path": file,
        "format": end.removeprefix("."),
        "mediatype": MEDIA.get(end, "text/csv"),
        "bytes": done[file]["bytes"],
        "hash": f"sha256:{done[file]['sha256']}",
    }


def _table_resource(name: str, table: Any, done: Done) -> Row:
    pa = pyarrow()
    kinds = {
        pa.string(): "string", pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "boolean",
    }  # fmt: skip
    schema: Row = {
        "fields": [{"name": field.name, "type": kinds[field.type]} for field in table.schema],
        "missingValues": [""],
        "primaryKey": [KEYS[name]],
    }
    if name in FOREIGN:
        schema["foreignKeys"] = [
            {"fields": [KEYS[other]], "reference": {"resource": other, "fields": [KEYS[other]]}}
            for other in FOREIGN[name]
        ]
    resource = _resource(name, f"{name}.csv", done) | {"encoding": "utf-8", "schema": schema}
    return resource | {"type": "table"}
