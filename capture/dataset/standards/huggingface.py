"""The folder as a Hugging Face dataset: ``datasets.load_dataset(FOLDER)``, audiofolder.

``metadata_SPLIT.parquet`` beside ``data/`` has the rows of a split: the manifest's columns, the
three files under names that end in ``_file_name``, which make them columns of audio (``input``,
``output``, ``cv``). They stand at the root because audiofolder takes names from the metadata's own
folder downwards, without ``..``. README.md lists them by split, and with each the files of one
take: ``datasets`` tells the kind of a dataset by the files that are most, and reads the others by
way of the metadata. Needs datasets 4 (``metadata_filenames``: its pull request 7663).
Sources: Hugging Face, 'Create an audio dataset', 'Manual configuration'.
"""

from __future__ import annotations

import filecmp
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.standards.bag import is_own
from capture.model import REVISION

RENAMED = {
    "input_file": "input_file_name",
    "output_file": "output_file_name",
    "cv_file": "cv_file_name",
}
ROWS = 1000
"""In a row group: ``datasets`` turns a whole one into Python objects."""
STEM, END = "metadata_", ".parquet"


def splits(takes: Any) -> dict[str, Any]:
    """Which rows of takes.parquet are in which split: boolean pyarrow arrays. None is empty.

    Every take is in one of ``train``, ``unseen_song``, ``unseen_setting``, ``unseen_both`` and
    ``reference``; ``test`` is the three unseen ones together. Where the plan has no splits, all
    but the reference's takes are ``train``.
    """
    compute = pyarrow().compute
    filled = (compute.fill_null(takes["split"], "train"),
              compute.fill_null(takes["setting_split"], "seen"))  # fmt: skip
    again = compute.subtract(
        takes["repeat"], compute.multiply(compute.divide(takes["repeat"], REVISION), REVISION)
    )
    reference = compute.greater(again, 1)
    song, setting = (compute.equal(c, v) for c, v in zip(filled, ("test", "unseen"), strict=True))
    planned, known, seen = map(compute.invert, (reference, song, setting))
    masks = {
        "train": (planned, known, seen),
        "test": (planned, compute.or_(song, setting)),
        "unseen_song": (planned, song, seen),
        "unseen_setting": (planned, known, setting),
        "unseen_both": (planned, song, setting),
        "reference": (reference,),
    }
    found: dict[str, Any] = {}
    for name, parts in masks.items():
        mask = parts[0]
        for part in parts[1:]:
            mask = compute.and_(mask, part)
        if compute.any(mask).as_py():
            found[name] = mask
    return found


def sizes(takes: Any) -> dict[str, int]:
    """How many takes each split has."""
    return {name: int(pyarrow().compute.sum(mask).as_py()) for name, mask in splits(takes).items()}


def file_name(split: str) -> str:
    return f"{STEM}{split}{END}"


def metadata(takes: Any, mask: Any) -> Iterator[Any]:
    """What audiofolder reads: a split's rows, the files' columns renamed.

    ``ROWS`` at most at a time, for a copy of a large dataset's table is a lot of memory.
    """
    takes = takes.rename_columns([RENAMED.get(name, name) for name in takes.column_names])
    for start in range(0, takes.num_rows, ROWS):
        rows = takes.slice(start, ROWS).filter(mask.slice(start, ROWS))
        if rows.num_rows:
            yield rows


def configs(takes: Any) -> str:
    """The part of README.md's YAML that says which files make which split."""
    parts, files_of = splits(takes), takes.select(list(RENAMED))
    lines = ["configs:", "- config_name: default", "  metadata_filenames:"]
    lines += [f"  - {file_name(split)}" for split in parts]
    lines.append("  data_files:")
    for split, mask in parts.items():
        first = files_of.filter(mask).slice(0, 1).to_pylist()[0]
        lines += [f"  - split: {split}", "    path:", f"    - {file_name(split)}"]
        lines += [f"    - {json.dumps(first[column])}" for column in RENAMED]
    return "\n".join(lines) + "\n"


def write(root: Path, takes: Any) -> None:
    """Writes the metadata of each split durably, and removes that of splits that are no more.

    Files that are the same stay untouched. Raises StorageRefused.
    """
    parquet = pyarrow().parquet
    for split, mask in splits(takes).items():
        target = root / file_name(split)
        part = files.part_of(target)
        with files.writing(target):
            try:
                parts = metadata(takes, mask)
                first = next(parts)
                with parquet.ParquetWriter(part, first.schema) as writer:
                    for rows in itertools.chain([first], parts):
                        writer.write_table(rows)
                if not is_own(target) or not filecmp.cmp(part, target, shallow=False):
                    files.commit({part: target})
            finally:
                part.unlink(missing_ok=True)
    for name in strays(root, takes):
        with files.writing(root / name):
            (root / name).unlink()


def strays(root: Path, takes: Any) -> list[str]:
    """Metadata of splits that the release does not have."""
    known = set(map(file_name, splits(takes)))
    return sorted(path.name for path in root.glob(f"{STEM}*{END}") if path.name not in known)


def same(root: Path, takes: Any) -> Iterator[tuple[str, bool]]:
    """Each metadata file that there should be, and whether it holds its split's rows."""
    parquet = pyarrow().parquet
    for split, mask in splits(takes).items():
        path = root / file_name(split)
        try:
            with parquet.ParquetFile(path) as file:
                there = map(file.read_row_group, range(file.num_row_groups))
                pairs = itertools.zip_longest(there, metadata(takes, mask))
                yield path.name, all(a is not None and a.equals(b) for a, b in pairs)
        except (OSError, ValueError, TypeError):  # pyarrow's own derive from these
            yield path.name, False
