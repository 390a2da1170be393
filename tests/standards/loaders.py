"""Reads a dataset's folder as strangers do, with their programs; run as a process of its own.

Prints one JSON document. ``datasets`` decodes by torchcodec, that is, by FFmpeg; soundfile reads
the same files beside it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

AUDIO = ("input", "output", "cv")


def hugging_face(root: Path, cache: str) -> dict[str, Any]:
    import datasets

    found: dict[str, Any] = {}
    for split, rows in datasets.load_dataset(str(root), cache_dir=cache).items():
        paths = rows
        for column in AUDIO:
            paths = paths.cast_column(column, datasets.Audio(decode=False))
        found[split] = []
        for row, there in zip(rows, paths, strict=True):
            heard = [row[column].get_all_samples().data.numpy() for column in AUDIO]
            files = [there[column]["path"] for column in AUDIO]
            found[split].append(
                {
                    "take_id": row["take_id"],
                    "threshold_db": row["threshold_db"],
                    "files": [str(Path(file).relative_to(root)) for file in files],
                    "shapes": [samples.shape for samples in heard],
                    "exact": [same(*pair) for pair in zip(heard, files, strict=True)],
                }
            )
    return found


def same(samples: Any, file: str) -> bool:
    """Whether these are the file's samples, every bit; (channels, frames)."""
    return np.array_equal(samples, soundfile.read(file, dtype="float32", always_2d=True)[0].T)


def croissant(root: Path) -> dict[str, Any]:
    import mlcroissant

    dataset = mlcroissant.Dataset(root / "croissant.json")
    takes = [
        {key.partition("/")[2]: plain(value) for key, value in record.items()}
        for record in dataset.records("takes")
    ]
    audio: dict[str, int] = {}
    for name in ("inputs", "outputs", "cvs"):
        for record in dataset.records(name):
            file = plain(record[f"{name}/file"])
            with tempfile.NamedTemporaryFile(suffix=".flac") as copy:
                copy.write(record[f"{name}/audio"])
                copy.flush()
                audio[file] = soundfile.info(copy.name).frames
    others = [one.name for one in dataset.metadata.record_sets]
    counts = {name: sum(1 for _ in dataset.records(name)) for name in others}
    return {"takes": takes, "audio": audio, "counts": counts}


def plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    kind, root, cache = sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3]
    found = hugging_face(root, cache) if kind == "datasets" else croissant(root)
    print(json.dumps(found))
