"""WebDataset: tar shards of samples of 10 s, named after their split.

    train-000000.tar
        TAKE-00000.input.flac   TAKE-00000.output.flac   24-bit stereo
        TAKE-00000.gain.npy     float32 (frames,), dB, negative = attenuation
        TAKE-00000.json         what is known of it

The files of a sample follow each other and share what comes before the first dot. The last segment
of a take is as long as what is left. Members carry no time and no owner: the bytes are always the
same. Source: webdataset's own documentation of its format.
"""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from capture.dataset.export import core
from capture.dataset.export.core import Done, File, Job, Layout, Sample
from capture.dataset.export.sound import flac_bytes
from capture.dataset.export.sources import Sources
from capture.dataset.snapshot import Snapshot

SEGMENT_S = 10.0


def lay_out(found: Snapshot, table: Any) -> Layout:
    """A part for each shard."""
    table = core.narrowed(found, table)
    return Layout(table, core.shards(table, Sources(found.root), SEGMENT_S))


def files(job: Job, sources: Sources) -> Iterator[File]:
    """The shard."""
    yield f"{job.name}.tar", functools.partial(_write, job, sources)


def finish(found: Snapshot, layout: Layout, done: Done) -> Iterator[File]:
    """Nothing: the shards say all."""
    return iter(())


def _write(job: Job, sources: Sources, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for sample in core.samples(job, sources, SEGMENT_S):
            key = f"{sample.take['take_id']}-{sample.number:05d}"
            for end, data in _members(sample):
                member = tarfile.TarInfo(f"{key}.{end}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


def _members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    rate_hz = sample.take["sample_rate_hz"]
    gain = io.BytesIO()
    np.save(gain, sample.gain_db, allow_pickle=False)
    yield "input.flac", flac_bytes(sample.input, rate_hz)
    yield "output.flac", flac_bytes(sample.output, rate_hz)
    yield "gain.npy", gain.getvalue()
    yield "json", json.dumps(sample.facts, allow_nan=False).encode()
