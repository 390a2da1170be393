"""Reads a dataset's folder as strangers do, with their programs; run as a process of its own.

Prints one JSON document. ``datasets`` imports torch and torchcodec, which need FFmpeg, before it
takes the path of a file: a gigabyte that these tests do without. Where torchcodec is not installed,
its step from a path to a row is made here without that import; soundfile decodes the files.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import soundfile

AUDIO = ("input", "output", "cv")


def hugging_face(root: Path, cache: str) -> dict[str, Any]:
    import datasets

    if importlib.util.find_spec("torchcodec") is None:
        datasets.Audio.encode_example = lambda self, value: {"bytes": None, "path": value}
    found: dict[str, Any] = {}
    for split, loaded in datasets.load_dataset(str(root), cache_dir=cache).items():
        rows = loaded
        for column in AUDIO:
            rows = rows.cast_column(column, datasets.Audio(decode=False))
        found[split] = [
            {
                "take_id": row["take_id"],
                "threshold_db": row["threshold_db"],
                "frames": [soundfile.info(row[column]["path"]).frames for column in AUDIO],
                "files": [str(Path(row[column]["path"]).relative_to(root)) for column in AUDIO],
            }
            for row in rows
        ]
    return found


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
