"""Tables on the disk: written once, told apart from any other, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from capture.dataset import tables
from capture.dataset.tables import ROWS, Row

COLUMNS = {"name": "string", "figure": "double", "number": "int64", "auto": "bool"}


def row(number: int) -> Row:
    """Some lack a column, some have null in it."""
    found: Row = {"name": f'song, "{number}"\r\n', "figure": number / 3, "number": number}
    return found | {"auto": (None, True, False)[number % 3]} if number % 2 else found


def rows(count: int) -> Iterator[Row]:
    return map(row, range(count))


@pytest.mark.parametrize("count", [0, 1, ROWS, 2 * ROWS + 5])
def test_what_was_written_does_not_differ(tmp_path: Path, count: int) -> None:
    tables.write(tmp_path, "t", COLUMNS, rows(count))
    assert not tables.differing(tmp_path, "t", COLUMNS, rows(count))
    assert pq.read_metadata(tmp_path / "t.parquet").num_rows == count
    assert {path.name for path in tmp_path.iterdir()} == {"t.parquet", "t.csv"}


def swapped(found: list[Row]) -> list[Row]:
    return [found[1], found[0], *found[2:]]


@pytest.mark.parametrize(
    "other",
    [
        lambda found: found[:-1],
        lambda found: [*found, found[-1]],
        lambda found: [*found[:-1], found[-1] | {"figure": 0.1}],
        lambda found: [*found[:-1], found[-1] | {"figure": None}],
        lambda found: [found[0] | {"auto": False}, *found[1:]],
        lambda found: [],
        swapped,
    ],
    ids=["a row less", "a row more", "a figure", "a null", "not null", "none", "another order"],
)
def test_any_other_rows_differ(tmp_path: Path, other: Callable[[list[Row]], list[Row]]) -> None:
    found = list(rows(ROWS + 3))
    tables.write(tmp_path, "t", COLUMNS, found)
    both = [tmp_path / "t.parquet", tmp_path / "t.csv"]
    assert tables.differing(tmp_path, "t", COLUMNS, other(found)) == both


def test_each_file_is_told_by_itself(tmp_path: Path) -> None:
    found = list(rows(3))
    parquet, text = tmp_path / "t.parquet", tmp_path / "t.csv"
    tables.write(tmp_path, "t", COLUMNS, found)
    text.write_bytes(text.read_bytes() + b"\n")
    assert tables.differing(tmp_path, "t", COLUMNS, found) == [text]
    tables.write(tmp_path, "t", COLUMNS, found)
    parquet.write_bytes(parquet.read_bytes()[:-9])
    assert tables.differing(tmp_path, "t", COLUMNS, found) == [parquet]
    text.unlink()
    assert tables.differing(tmp_path, "t", COLUMNS, found) == [parquet, text]
    tables.write(tmp_path, "t", COLUMNS, found)
    assert not tables.differing(tmp_path, "t", COLUMNS, found)
    retyped = COLUMNS | {"number": "double"}
    assert tables.differing(tmp_path, "t", retyped, found) == [parquet]


def test_the_same_table_leaves_its_files_untouched(tmp_path: Path) -> None:
    tables.write(tmp_path, "t", COLUMNS, rows(5))
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    (tmp_path / ".t.csv.part").write_text("left behind by a crash")
    tables.write(tmp_path, "t", COLUMNS, rows(5))
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("fails_at", [0, 1, ROWS + 1])
def test_rows_that_cannot_be_made_leave_the_files_as_they_were(
    tmp_path: Path, fails_at: int
) -> None:
    tables.write(tmp_path, "t", COLUMNS, rows(3))

    def failing() -> Iterator[Row]:
        yield from rows(fails_at)
        raise RuntimeError("a damaged row")

    with pytest.raises(RuntimeError, match="a damaged row"):
        tables.write(tmp_path, "t", COLUMNS, failing())
    assert {path.name for path in tmp_path.iterdir()} == {"t.parquet", "t.csv"}
    assert not tables.differing(tmp_path, "t", COLUMNS, rows(3))
    with pytest.raises(RuntimeError, match="a damaged row"):
        tables.differing(tmp_path, "t", COLUMNS, failing())


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Python's own: pyarrow is given a batch at a time."""

    def peak(count: int) -> int:
        tracemalloc.start()
        tables.write(tmp_path, "t", COLUMNS, rows(count))
        assert not tables.differing(tmp_path, "t", COLUMNS, rows(count))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(ROWS)  # what is loaded and cached once
    assert peak(4 * ROWS) < 1.2 * peak(2 * ROWS)
