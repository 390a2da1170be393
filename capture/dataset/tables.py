"""Tables on the disk: each as Parquet and as CSV with the same columns.

Rows are made, written and compared ``ROWS`` at a time: memory does not grow with a dataset. No NaN
and no infinity: what is absent is null (an empty field in CSV).
"""

from __future__ import annotations

import csv
import filecmp
import io
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.columns import Columns

Row = dict[str, Any]
"""By column; one that it lacks is null."""
ROWS = 4096


def write(folder: Path, name: str, columns: Columns, rows: Iterable[Row]) -> None:
    """Writes ``NAME.parquet`` and ``NAME.csv`` durably; files that are the same stay untouched.

    Raises StorageRefused where there is no room or no right to write.
    """
    targets = _paths(folder, name)
    parts = tuple(map(files.part_of, targets))
    with files.writing(targets[0]):
        files.make_folder(folder)
        try:
            _write(parts, columns, rows)
            if not all(map(_same_bytes, parts, targets)):
                files.commit(dict(zip(parts, targets, strict=True)))
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


def differing(folder: Path, name: str, columns: Columns, rows: Iterable[Row]) -> list[Path]:
    """Which of a table's two files are not there, or hold anything else than these rows."""
    parquet, text = _paths(folder, name)
    alike = {parquet: _parquet(parquet, columns), text: _csv(text, columns)}
    for row in itertools.chain((None,), rows, (None,)):
        alike = {path: reader for path, reader in alike.items() if _agrees(reader, row)}
    return [path for path in (parquet, text) if path not in alike]


def to_arrow(columns: Columns, rows: Sequence[Row]) -> Any:
    """The pyarrow.Table of ``rows``."""
    pa = pyarrow()
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    return pa.Table.from_pylist(rows, schema)


def to_csv(columns: Columns, rows: Iterable[Row]) -> str:
    """The table of ``rows`` as RFC 4180 text, but for its line ends (LF)."""
    line = _liner(columns)
    return line({name: name for name in columns}) + "".join(map(line, rows))


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.parquet", folder / f"{name}.csv"


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(itertools.islice(left, ROWS)):
        yield batch


def _write(parts: Sequence[Path], columns: Columns, rows: Iterable[Row]) -> None:
    parquet, text = parts
    line = _liner(columns)
    with (
        pyarrow().parquet.ParquetWriter(parquet, to_arrow(columns, []).schema) as arrow,
        text.open("w", encoding="utf-8", newline="") as lines,
    ):
        lines.write(to_csv(columns, []))
        for batch in _batches(rows):
            arrow.write_table(to_arrow(columns, batch))
            lines.writelines(map(line, batch))


def _same_bytes(part: Path, target: Path) -> bool:
    return target.is_file() and filecmp.cmp(part, target, shallow=False)


def _liner(columns: Columns) -> Callable[[Row], str]:
    """Gives the line of a row. Booleans are true and false, numbers read back the same."""
    buffer = io.StringIO()
    # Until Python 3.13 a lone CR is quoted only if the line end has one in it.
    writer = csv.writer(buffer, lineterminator="\r\n")
    logical = {name for name, kind in columns.items() if kind == "bool"}

    def line(row: Row) -> str:
        spelled = {
            name: str(row[name]).lower() for name in logical & row.keys() if row[name] is not None
        }
        writer.writerow([*map((row | spelled).get, columns)])
        text = buffer.getvalue().removesuffix("\r\n") + "\n"
        buffer.seek(0)
        buffer.truncate()
        return text

    return line


Reader = Generator[bool, Row | None]
"""Is sent None, each row, and None: whether the file begins so, goes on so, ends there."""


def _agrees(reader: Reader, row: Row | None) -> bool:
    try:
        return reader.send(row)
    except (OSError, ValueError):  # pyarrow's own derive from these
        return False


def _parquet(path: Path, columns: Columns) -> Reader:
    with pyarrow().parquet.ParquetFile(path) as file:
        there = (row for batch in file.iter_batches(ROWS) for row in batch.to_pylist())
        same = file.schema_arrow.equals(to_arrow(columns, []).schema)
        while (row := (yield same)) is not None:
            same = next(there, None) == {name: row.get(name) for name in columns}
        yield next(there, None) is None


def _csv(path: Path, columns: Columns) -> Reader:
    line = _liner(columns)
    with path.open("rb") as file:
        expected = to_csv(columns, []).encode()
        while True:
            same = file.read(len(expected)) == expected
            if (row := (yield same)) is None:
                break
            expected = line(row).encode()
        yield not file.read(1)
