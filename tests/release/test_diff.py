"""What changed between two versions, and which number that asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.dataset import changelog
from capture.dataset.diff import COMPARED, Diff, diff

NAMES = [name for name in COMPARED if name != "takes"]


def take(number: int, **cells: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "take_id": f"t{number}", "song_id": f"s{number}", "setting_id": "a", "repeat": 1,
        "split": "train", "setting_split": "seen", "added_in": "1.0.0", "superseded_by": None,
        "peak_left_dbfs": -3.0, "measured_ratio": None,
    }  # fmt: skip
    return row | cells


SCHEMA = pa.schema(
    [(name, pa.string() if isinstance(value, str | None) else pa.int64() if isinstance(value, int)
      else pa.float64()) for name, value in take(0).items() if name != "measured_ratio"]
    + [("measured_ratio", pa.float64())]
)  # fmt: skip


@dataclass
class Tables:
    found: dict[str, Any]

    def columns(self, name: str) -> list[str]:
        return self.found[name].column_names

    def table(self, name: str, columns: Sequence[str] | None = None) -> Any:
        return self.found[name].select(columns or self.columns(name))


def version(takes: list[dict[str, Any]], **others: Any) -> Tables:
    tables = {name: pa.table({key: pa.array([], pa.string())}) for name, key in COMPARED.items()}
    tables["takes"] = pa.Table.from_pylist(takes, SCHEMA)
    return Tables(tables | others)


def test_the_same_is_a_patch() -> None:
    takes = [take(n) for n in range(3)]
    found = diff(version(takes), version(takes[::-1]))
    assert found == Diff([], [], [], [], {}, {}, {}, {})
    assert found.bump == "patch"
    assert changelog.summary(found) == "nothing has changed"


def test_more_takes_are_a_minor_change() -> None:
    found = diff(version([take(1)]), version([take(1), take(2, added_in="1.1.0")]))
    assert (found.added, found.bump) == (["t2"], "minor")


def test_a_take_that_is_gone_is_a_major_change() -> None:
    found = diff(version([take(1), take(2)]), version([take(1)]))
    assert (found.removed, found.bump) == (["t2"], "major")


def test_a_take_recorded_again_supersedes_the_one_in_its_place() -> None:
    later = take(9, song_id="s2", repeat=1001)
    found = diff(version([take(1), take(2)]), version([take(1), later]))
    assert (found.superseded, found.added, found.removed) == ([("t2", "t9")], [], [])
    assert found.bump == "major"


@pytest.mark.parametrize("column", ["split", "setting_split"])
def test_another_split_is_a_major_change(column: str) -> None:
    found = diff(version([take(1)]), version([take(1, **{column: "unseen"})]))
    assert (found.resplit, found.changed, found.bump) == (["t1"], {}, "major")


@pytest.mark.parametrize(
    ("before", "after"), [(-3.0, -3.1), (None, -3.0), (-3.0, None)], ids=["other", "new", "gone"]
)
def test_another_cell_is_a_major_change(before: float | None, after: float | None) -> None:
    found = diff(
        version([take(1, measured_ratio=before), take(2)]),
        version([take(2), take(1, measured_ratio=after)]),
    )
    assert (found.changed, found.bump) == ({"takes": {"measured_ratio": ["t1"]}}, "major")


def test_columns_that_come_and_go() -> None:
    songs = {"song_id": ["s1"], "old": [1]}
    before = version([], songs=pa.table(songs))
    after = version([], songs=pa.table({"song_id": ["s1"], "old": [1], "new": [2]}))
    assert diff(before, after).columns_added == {"songs": ["new"]}
    assert diff(before, after).bump == "minor"
    assert diff(after, before).columns_removed == {"songs": ["new"]}
    assert diff(after, before).bump == "major"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "settings"])
def test_a_measurement_that_is_gone_is_a_major_change(name: str) -> None:
    before = version([], **{name: pa.table({COMPARED[name]: ["x", "y"]})})
    after = version([], **{name: pa.table({COMPARED[name]: ["x"]})})
    assert (diff(before, after).lost, diff(before, after).bump) == ({name: ["y"]}, "major")


@given(
    st.dictionaries(st.integers(0, 20), st.sampled_from([-3.0, -4.0, None])),
    st.dictionaries(st.integers(0, 20), st.sampled_from([-3.0, -4.0, None])),
)
def test_it_is_as_if_each_take_were_looked_up(
    old: dict[int, float | None], new: dict[int, float | None]
) -> None:
    found = diff(
        version([take(n, peak_left_dbfs=v) for n, v in old.items()]),
        version([take(n, peak_left_dbfs=v) for n, v in new.items()]),
    )
    assert found.added == sorted(f"t{n}" for n in new.keys() - old.keys())
    assert found.removed == sorted(f"t{n}" for n in old.keys() - new.keys())
    changed = {f"t{n}" for n in old.keys() & new.keys() if old[n] != new[n]}
    assert set(found.changed.get("takes", {}).get("peak_left_dbfs", [])) == changed
