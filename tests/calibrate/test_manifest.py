"""Everything that is measured stands in the manifest: no field without a column, none empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from capture.dataset import manifest
from capture.dataset.columns import CHANNELS, LEVELS
from capture.model import GainLaw
from capture.records import (
    AnchorRecord,
    CalibrationRecord,
    ChannelDelay,
    EnrolmentRecord,
    FingerprintRecord,
    LawRecord,
    LawStep,
    LevelCheck,
    LoudProbe,
    MeasuredFigure,
)
from capture.run.ledger import Ledger
from tests.storage.conftest import law

WHEN = "2026-11-22T00:00:00+00:00"
DELAYS = {
    name: ChannelDelay(987.31, 1e-4, False, 300.0, 300.0, 16e3, -5.0, 1e-4) for name in CHANNELS
}
LAW = law(
    covariance_db2_per_fs=-1e-6, deepest_cv_fs=0.4, rest_noise_v=2e-5, static_uncertainty_db=1e-4,
    slope_left_db_per_fs=-50.0, slope_right_db_per_fs=-50.1, cv_delay_reduction_db=20.0,
    cv_delay_left_db=-60.0, corner_hz=0.1, corner_uncertainty_hz=1e-4, offset_fs=1e-3,
    temperature_c=23.5, previous_id="law-0", drift_db=0.01, level_drift_db=0.02,
    readings=(LawStep(-12.0, -19.4, -19.5, 0.29, 1e-5, "clipped"),),
    loud=LoudProbe(-6.0, 5.0, -20.0, "cal-1", DELAYS, dict.fromkeys(CHANNELS, 1e-4)),
    levels=tuple(LevelCheck(name, 5.0, 5.01, 1e-4, "verified", "why") for name in LEVELS),
)  # fmt: skip
CALIBRATION = CalibrationRecord(
    "cal-1", WHEN, 44100, 987, DELAYS, GainLaw(-50.0, 0.1, "measured"), {}, "delay-3", "law-1"
)
ENROLMENT = EnrolmentRecord("enrol-1", WHEN, "law-1", ("a", "b"), {}, 0.01, {}, "greybox-1")
ANCHOR = AnchorRecord("input", "cv", 19.0, 2.5, 0.5, -12.0, "Kim", WHEN, "voltmeter")
FIGURES = (
    "threshold_db", "slope", "ratio", "knee_db", "attack_ms", "release_fast_ms", "release_slow_ms",
    "slow_share",
)  # fmt: skip
FINGERPRINT = FingerprintRecord(
    "fp-1", WHEN, {"ratio": 4.0}, "enrol-1", "cal-1", "confirmed", True, "why", {"ratio": 4.0},
    -5.0, 0.9, {"threshold_db": 0.1}, {"ratio": 2.0}, ("ratio 3: alike",),
    {name: MeasuredFigure(1.0, 0.1) for name in FIGURES}, 12.0, 0.01, (1.0, 2.0), (0.1, 0.2), 1e-4,
    44100, "evidence/x.flac", "a" * 64, 1, "verdict-1",
)  # fmt: skip
ELSEWHERE = {"setting", "law", "delays", "files", "figures", "model", "readings", "loud", "levels"}
"""Fields that are columns of other names, tables of their own, or files in ``calibration/``."""


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[manifest.Tables]:
    ledger = Ledger.open(tmp_path)
    ledger.add_calibration(CALIBRATION)
    ledger.add_law(LAW)
    ledger.add_enrolment(ENROLMENT)
    ledger.add_fingerprint(FINGERPRINT)
    ledger.add_anchors([ANCHOR])
    yield manifest.of_ledger(ledger, ())
    ledger.close()


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("calibrations", CalibrationRecord),
        ("laws", LawRecord),
        ("law_steps", LawStep),
        ("enrolments", EnrolmentRecord),
        ("fingerprints", FingerprintRecord),
        ("anchors", AnchorRecord),
    ],
)
def test_a_full_record_fills_its_row(tables: manifest.Tables, table: str, kind: type[Any]) -> None:
    columns, (row,) = tables[table]
    assert {field.name for field in fields(kind)} - ELSEWHERE <= set(columns)
    assert [name for name in columns if row.get(name) is None] == []


def test_figures_of_a_probe_and_of_a_level_have_a_column_each(tables: manifest.Tables) -> None:
    columns, (row,) = tables["laws"]
    for name in CHANNELS:
        assert row[f"loud_delay_{name}_frames"] == 987.31
        assert row[f"loud_shift_{name}_frames"] == 1e-4
    for name in LEVELS:
        assert (row[f"{name}_measured_db"], row[f"{name}_verdict"]) == (5.01, "verified")
    kinds = {"double": float, "int64": int, "string": str, "bool": bool}
    assert all(isinstance(row[name], kinds[kind]) for name, kind in columns.items())
