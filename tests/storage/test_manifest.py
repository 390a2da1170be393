"""The manifests: Parquet, CSV and ledger say the same; absent is null, auto is a column."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.dataset import manifest, tables
from capture.dataset.columns import take_columns
from capture.model import AUTO, CheckResult, Control, Position
from capture.run.ledger import Ledger

CONTROLS = (
    Control("threshold_db", "dB", (), -28.0, 12.0, 0.5),
    Control("release_s", "s", (Position("0.1", 0.1), Position("A", AUTO))),
    Control("ratio", ":1", (Position("4", 4.0),)),
)
ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
}


@pytest.fixture
def filled(tmp_path: Path, made: Any) -> Ledger:
    ledger = Ledger.open(tmp_path)
    for number in range(3):
        ledger.add_song(made.song(number))
    ledger.add_calibration(made.calibration())
    ledger.put_session(made.session())
    for number in range(6):
        ledger.commit_take(made.take(number, song_id=made.song(number % 3).song_id))
    ledger.commit_take(made.take(6, song_id=made.song(0).song_id, status="rejected"))
    read_back = {"threshold_db": -28.0, "release_s": AUTO, "ratio": 4.0}
    ledger.commit_take(made.take(7, song_id=made.song(0).song_id, knobs_read=read_back))
    return ledger


def parsed(text: str, kind: str) -> Any:
    """A CSV field as its column's type."""
    if text == "":
        return None
    if kind == "bool":
        return {"true": True, "false": False}[text]
    return {"string": str, "int64": int, "double": float}[kind](text)


def test_parquet_and_csv_and_ledger_say_the_same(filled: Ledger) -> None:
    root = filled.path.parent
    content = manifest.of_ledger(filled, CONTROLS)
    manifest.write(root, content)
    assert set(content) == {
        "takes", "songs", "settings", "calibrations", "laws", "law_steps", "enrolments",
        "fingerprints", "anchors", "sessions", "references", "releases", "visits",
    }  # fmt: skip
    for name, (columns, rows) in content.items():
        table = pq.read_table(root / "manifest" / f"{name}.parquet")
        assert {f.name: f.type for f in table.schema} == {n: ARROW[k] for n, k in columns.items()}
        expected = [{column: row.get(column) for column in columns} for row in rows]
        assert table.to_pylist() == expected
        with (root / "manifest" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            assert reader.fieldnames == list(columns)
            read = [{n: parsed(row[n], columns[n]) for n in columns} for row in reader]
        assert read == expected
        for row in expected:
            for value in row.values():
                assert not isinstance(value, float) or math.isfinite(value)


def test_each_captured_take_is_a_row_and_no_other(filled: Ledger) -> None:
    rows = list(manifest.of_ledger(filled, CONTROLS)["takes"][1])
    captured = {take.take_id: take for take in filled.takes() if take.status == "captured"}
    assert {row["take_id"] for row in rows} == set(captured)
    assert len(rows) == 7
    for row in rows:
        take = captured[row["take_id"]]
        for name in ("output_sha256", "delay_left_frames", "peak_left_dbfs", "cv_max_v"):
            assert row[name] == getattr(take, name)
        assert row["gain_db_per_fs"] == take.law.gain_db_per_fs
        for check in take.checks:
            assert row[f"check_{check.name}"] == check.figure
            assert row[f"check_{check.name}_verdict"] == check.verdict


def test_auto_is_a_column_of_its_own(filled: Ledger) -> None:
    columns, rows = manifest.of_ledger(filled, CONTROLS)["takes"]
    assert columns["release_auto"] == columns["release_auto_read_back"] == "bool"
    assert "threshold_auto" not in columns
    for row in rows:
        take = next(take for take in filled.takes() if take.take_id == row["take_id"])
        assert row["release_auto"] is (take.setting["release_s"] is AUTO)
        assert row["release_s"] == (None if row["release_auto"] else 0.1)
        read = take.knobs_read is not None
        assert row.get("release_auto_read_back") is (True if read else None)
        assert row["threshold_db_read_back"] == (-28.0 if read else None)


def test_it_is_written_once_and_anew_when_it_is_harmed(filled: Ledger) -> None:
    root = filled.path.parent
    content = manifest.of_ledger(filled, CONTROLS)
    manifest.write(root, content)
    stamps = {p: p.stat().st_mtime_ns for p in (root / "manifest").iterdir()}
    manifest.write(root, content)
    assert {p: p.stat().st_mtime_ns for p in (root / "manifest").iterdir()} == stamps
    (root / "manifest" / "takes.parquet").write_bytes(b"nothing of the kind")
    (root / "manifest" / "songs.csv").unlink()
    manifest.write(root, content)
    assert not list((root / "manifest").glob(".*"))
    for name, (columns, rows) in content.items():
        assert not tables.differing(root / "manifest", name, columns, rows)


def test_every_check_has_its_columns(filled: Ledger) -> None:
    """The names in the manifest are those that the checks give themselves."""
    import numpy as np

    from capture.model import CheckLimits, GainLaw
    from capture.signal.checks import TakeMeter

    meter = TakeMeter(44100, GainLaw(-50.0, 0.0, "expected"))
    meter.add(*(np.zeros((10, 2), np.int32),) * 2, np.zeros(10, np.int32))
    names = [check.name for check in meter.verdicts(10, (0.0, 0.0), CheckLimits())]
    columns, _ = manifest.of_ledger(filled, CONTROLS)["takes"]
    for name in names:
        assert columns[f"check_{name}"] == "double"
        assert columns[f"check_{name}_verdict"] == "string"


FIGURES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    figure=FIGURES,
    level=FIGURES,
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
)
def test_any_figure_and_any_name_survive(
    made: Any, figure: float | None, level: float | None, text: str
) -> None:
    """As Parquet and as CSV, down to the last bit; line ends and quotes in names too."""
    take = made.take(
        1,
        song_id=made.song().song_id,
        rms_left_dbfs=level,
        checks=(CheckResult("swap", figure, 0.01, "pass"),),
        captured_at=text,
    )
    columns = take_columns(CONTROLS)
    row = manifest.take_row(take, {made.song().song_id: made.song()}, CONTROLS, None, None)
    (back,) = tables.to_arrow(columns, [row]).to_pylist()
    (line,) = csv.DictReader(io.StringIO(tables.to_csv(columns, [row]), newline=""))
    for name, value in (("check_swap", figure), ("rms_left_dbfs", level)):
        assert back[name] == value
        assert parsed(line[name], "double") == value
    assert back["captured_at"] == line["captured_at"] == text
