"""Parquet with the audio in it, for Hugging Face ``datasets``.

    README.md                   which files are which split
    data/train-000000.parquet   a row for every 30 s of a take, and what is left

``input`` and ``output`` are of the feature Audio: 24-bit FLAC in the cell. ``gain_db`` is a list of
float32. The rows' features are in the file's schema, where ``datasets`` looks for them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from capture.dataset.arrow import pyarrow
from capture.dataset.export import core
from capture.dataset.export.core import Done, File, Job, Layout, Sample
from capture.dataset.export.facts import card
from capture.dataset.export.sound import flac_bytes
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Row, Snapshot

SEGMENT_S = 30.0
GROUP_BYTES = 32_000_000
"""A group of rows is written when it has so much: it is what is in memory."""
# ``mono`` is for versions of ``datasets`` before 4, which else mix the channels.
AUDIO = {"mono": False, "decode": True, "_type": "Audio"}
FEATURES: Row = {
    "input": AUDIO,
    "output": AUDIO,
    "gain_db": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
}
SEGMENT_COLUMNS = ("segment", "start_frame", "num_frames", "take_frames")


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each shard."""
    table = core.narrowed(found, table)
    return Layout(table, core.shards(table, Sources(found.root), SEGMENT_S))


def files(job: Job, sources: Sources) -> Iterator[File]:
    """The shard."""
    yield f"data/{job.name}.parquet", functools.partial(_write, job, sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """The card, which names the files of each split."""
    sides = sorted({part.name.rpartition("-")[0] for part in layout.parts})
    splits = [{"split": side, "path": f"data/{side}-*.parquet"} for side in sides]
    head = {"configs": [{"config_name": "default", "data_files": splits}]}
    yield "README.md", functools.partial(card, found, head)


def _write(job: Job, sources: Sources, path: Path) -> None:
    pa = pyarrow()
    schema = _schema(job.schema)
    scalars = [name for name in schema.names if name not in FEATURES]
    # Audio is packed already, and a column's statistics would hold two of its cells.
    writer = pa.parquet.ParquetWriter(
        path,
        schema,
        compression={"gain_db.list.element": "zstd"},
        use_dictionary=scalars,
        write_statistics=scalars,
    )
    with writer:
        group: list[Row] = []
        size = 0
        for sample in core.samples(job, sources, SEGMENT_S):
            group.append(_row(sample))
            size += sample.gain_db.nbytes
            size += sum(len(group[-1][kind]["bytes"]) for kind in ("input", "output"))
            if size >= GROUP_BYTES:
                writer.write_table(_table(group, schema))
                group, size = [], 0
        if group:
            writer.write_table(_table(group, schema))


def _row(sample: Sample) -> Row:
    name = f"{sample.take['take_id']}-{sample.number:05d}"
    rate_hz = sample.take["sample_rate_hz"]
    audio = {"input": sample.input, "output": sample.output}
    row: Row = {
        kind: {"bytes": flac_bytes(codes, rate_hz), "path": f"{name}.{kind}.flac"}
        for kind, codes in audio.items()
    }
    return row | {"gain_db": sample.gain_db} | sample.facts


def _table(rows: list[Row], schema: Any) -> Any:
    """The gain goes over as one array: as a list, each of its frames would be an object."""
    pa = pyarrow()
    columns = [
        _lists(rows)
        if field.name == "gain_db"
        else pa.array([r[field.name] for r in rows], field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _lists(rows: list[Row]) -> Any:
    pa = pyarrow()
    gains = [row["gain_db"] for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(gain) for gain in gains])]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(gains)))


def _schema(taken: Any) -> Any:
    """The columns, and in the metadata their features as ``datasets`` writes them."""
    pa = pyarrow()
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("input", audio), ("output", audio), ("gain_db", pa.list_(pa.float32()))]
    facts = [field for field in taken if field.name in core.facts(dict.fromkeys(taken.names))]
    fields += [(field.name, field.type) for field in facts]
    fields += [(name, pa.int64()) for name in SEGMENT_COLUMNS]
    dtypes = {
        pa.string(): "string",
        pa.bool_(): "bool",
        pa.int64(): "int64",
        pa.float64(): "float64",
    }
    features = FEATURES | {
        name: {"dtype": dtypes[kind], "_type": "Value"}
        for name, kind in fields
        if name not in FEATURES
    }
    told = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": told})
