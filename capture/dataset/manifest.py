"""The manifests: tables made from the ledger for those who load the dataset.

Derived, never read back as truth. Each table is written as Parquet and as CSV with the same
columns; docs/dataset.md explains each. No NaN and no infinity: what is absent is null (an empty
field in CSV). A control that knows ``auto`` has two columns: its number (null where it is auto)
and ``NAME_auto``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capture.dataset import files
from capture.model import AUTO, Control, Setting, SongRecord, Value, base_name, format_value
from capture.records import CalibrationRecord, FingerprintRecord, LawRecord, TakeRecord
from capture.run.ledger import Ledger

Row = dict[str, Any]
Columns = dict[str, str]
"""Column names in order, each with its type: string, int64, double or bool."""

Tables = dict[str, tuple[Columns, list[Row]]]

CHECKS = (
    "stream_flags",
    "clock_frames",
    "marker_head_frames",
    "marker_tail_frames",
    "pilot_db",
    "frames",
    "full_scale_run_frames",
    "near_full_scale_dbfs",
    "stuck_run_frames",
    "repeated_run_frames",
    "level_left_db",
    "level_right_db",
    "polarity",
    "swap",
    "coherence",
    "lag_head_frames",
    "lag_tail_frames",
    "lag_step_frames",
    "drift_ppm",
    "dc_dbfs",
    "hum_dbfs",
    "noise_dbfs",
    "audio_cv_db",
    "burst_db",
    "click_db",
    "crosstalk_db",
    "cv_lag_frames",
    "cv_scatter_db",
    "cv_flat_share",
    "cv_unplugged_db",
    "cv_inverted",
    "cv_slope_percent",
    "cv_coupling_hz",
    "cv_clip_db",
    "settle_db",
)

MEASURED = (
    "threshold_db",
    "ratio",
    "knee_db",
    "attack_ms",
    "release_fast_ms",
    "release_slow_ms",
)
"""What the fingerprint of a setting measured, in the rows of its takes; more is in its own."""

TAKE_COLUMNS: Columns = {
    "take_id": "string",
    "song_id": "string",
    "setting_id": "string",
    "repeat": "int64",
    "session_id": "string",
    "calibration_id": "string",
    "split": "string",
    "setting_split": "string",
    "added_in": "string",
    "superseded_by": "string",
}
FILE_COLUMNS: Columns = {
    "knobs_confirmed": "string",
    "fingerprint_id": "string",
    "fingerprint_verdict": "string",
    **{f"measured_{name}": "double" for name in MEASURED},
    "input_file": "string",
    "output_file": "string",
    "cv_file": "string",
    "markers_file": "string",
    "sample_rate_hz": "int64",
    "num_frames": "int64",
    "latency_frames": "int64",
    "delay_left_frames": "double",
    "delay_right_frames": "double",
    "delay_cv_frames": "double",
    "cv_volts_per_fs": "double",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "gain_law_origin": "string",
    "cv_corner_hz": "double",
    "cv_offset_fs": "double",
    "send_gain_db": "double",
    "return_gain_db": "double",
    "input_sha256": "string",
    "output_sha256": "string",
    "cv_sha256": "string",
    "markers_sha256": "string",
    "captured_at": "string",
    "attempts": "int64",
    "peak_left_dbfs": "double",
    "peak_right_dbfs": "double",
    "rms_left_dbfs": "double",
    "rms_right_dbfs": "double",
    "cv_min_v": "double",
    "cv_max_v": "double",
    "cv_mean_v": "double",
}
SONG_COLUMNS: Columns = {
    "song_id": "string",
    "name": "string",
    "split": "string",
    "source": "string",
    "source_sha256": "string",
    "source_bytes": "int64",
    "source_format": "string",
    "source_rate_hz": "int64",
    "source_channels": "int64",
    "source_frames": "int64",
    "input_file": "string",
    "input_sha256": "string",
    "input_bytes": "int64",
    "sample_rate_hz": "int64",
    "num_frames": "int64",
    "gain_db": "double",
    "peak_dbfs": "double",
    "rms_dbfs": "double",
    "loudness_lufs": "double",
    "made_with": "string",
}
CALIBRATION_COLUMNS: Columns = {
    "calibration_id": "string",
    "measured_at": "string",
    "sample_rate_hz": "int64",
    "latency_frames": "int64",
    **{
        f"{figure}_{channel}{unit}": kind
        for channel in ("left", "right", "loopback")
        for figure, unit, kind in (
            ("delay", "_frames", "double"),
            ("delay_uncertainty", "_frames", "double"),
            ("inverted", "", "bool"),
            ("peak_to_rms", "", "double"),
        )
    },
    "delay_low_hz": "double",
    "delay_high_hz": "double",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "gain_law_origin": "string",
    "algorithm_version": "string",
    "law_id": "string",
}
LAW_COLUMNS: Columns = {
    "law_id": "string",
    "measured_at": "string",
    "sample_rate_hz": "int64",
    "setting_id": "string",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "volts_per_fs": "double",
    "slope_uncertainty_db_per_fs": "double",
    "at_zero_uncertainty_db": "double",
    "accuracy_db": "double",
    "residual_db": "double",
    "r2": "double",
    "steps": "int64",
    "left_out": "string",
    "deepest_gain_db": "double",
    "rest_v": "double",
    "rest_uncertainty_v": "double",
    "static_left_db": "double",
    "static_right_db": "double",
    "tracking_db": "double",
    "tracking_uncertainty_db": "double",
    "slope_ratio": "double",
    "cv_delay_frames": "double",
    "cv_delay_uncertainty_frames": "double",
    "corner_hz": "double",
    "corner_uncertainty_hz": "double",
    "offset_fs": "double",
    "temperature_c": "double",
    "previous_id": "string",
    "drift_db": "double",
    "algorithm_version": "string",
}
ANCHOR_COLUMNS: Columns = {
    "direction": "string",
    "channel": "string",
    "dbu": "double",
    "volts_per_fs": "double",
    "volts": "double",
    "level_dbfs": "double",
    "measured_by": "string",
    "measured_at": "string",
    "method": "string",
}
FINGERPRINT_COLUMNS: Columns = {
    "fingerprint_id": "string",
    "measured_at": "string",
    "setting_id": "string",
    "enrolment_id": "string",
    "calibration_id": "string",
    "verdict": "string",
    "accepted": "bool",
    "reason": "string",
    "most_likely": "string",
    "log10_odds": "double",
    "left": "double",
    "wrong": "string",
    "alike": "string",
    **{
        f"{name}{end}": "double"
        for name in (*MEASURED, "slope", "slow_share")
        for end in ("", "_uncertainty")
    },
    "most_reduction_db": "double",
    "audio_error_db": "double",
    "file": "string",
    "sha256": "string",
    "algorithm_version": "string",
}
SESSION_COLUMNS: Columns = {
    "session_id": "string",
    "started_at": "string",
    "ended_at": "string",
    "outcome": "string",
    "fault": "string",
    "plan_sha256": "string",
    "rig_sha256": "string",
    "capture_version": "string",
}


def control_columns(controls: Sequence[Control]) -> Columns:
    """The columns of each control: its number, whether it is auto, and what was read back."""
    columns: Columns = {}
    for control in controls:
        columns[control.name] = "double"
        if any(position.value is AUTO for position in control.positions):
            columns[f"{base_name(control.name)}_auto"] = "bool"
    return columns | {f"{name}_read_back": kind for name, kind in columns.items()}


def take_columns(controls: Sequence[Control]) -> Columns:
    """All columns of takes.parquet for a rig with these controls."""
    checks: Columns = {}
    for name in CHECKS:
        checks |= {f"check_{name}": "double", f"check_{name}_verdict": "string"}
    return TAKE_COLUMNS | control_columns(controls) | FILE_COLUMNS | checks


def take_row(
    record: TakeRecord,
    songs: Mapping[str, SongRecord],
    controls: Sequence[Control],
    proof: FingerprintRecord | None,
) -> Row:
    """One row of takes.parquet; ``proof`` is the fingerprint that the take names."""
    song = songs[record.song_id]
    row: Row = {name: getattr(record, name, None) for name in TAKE_COLUMNS | FILE_COLUMNS}
    row |= _control_values(record.setting, controls, "")
    row |= _control_values(record.knobs_read or {}, controls, "_read_back")
    row |= {
        "input_file": song.input_file,
        "input_sha256": song.input_sha256,
        "gain_db_per_fs": record.law.gain_db_per_fs,
        "gain_db_at_zero": record.law.gain_db_at_zero,
        "gain_law_origin": record.law.origin,
    }
    for name in MEASURED:
        figure = proof.figures.get(name) if proof else None
        row[f"measured_{name}"] = figure.value if figure else None
    for check in record.checks:
        row[f"check_{check.name}"] = check.figure
        row[f"check_{check.name}_verdict"] = check.verdict
    return row


def _control_values(setting: Mapping[str, Value], controls: Sequence[Control], end: str) -> Row:
    row: Row = {}
    for control in controls:
        value = setting.get(control.name)
        row[control.name + end] = None if value is AUTO else value
        if value is not None:
            row[f"{base_name(control.name)}_auto{end}"] = value is AUTO
    return row


def _calibration_row(record: CalibrationRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in CALIBRATION_COLUMNS}
    for channel, found in record.delays.items():
        row |= {
            f"delay_{channel}_frames": found.delay_frames,
            f"delay_uncertainty_{channel}_frames": found.uncertainty_frames,
            f"inverted_{channel}": found.inverted,
            f"peak_to_rms_{channel}": found.peak_to_rms,
            "delay_low_hz": found.low_hz,
            "delay_high_hz": found.high_hz,
        }
    return row | {
        "gain_db_per_fs": record.law.gain_db_per_fs,
        "gain_db_at_zero": record.law.gain_db_at_zero,
        "gain_law_origin": record.law.origin,
    }


def _law_row(record: LawRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in LAW_COLUMNS}
    return row | {
        "setting_id": Setting(record.setting).setting_id,
        "gain_db_per_fs": record.law.gain_db_per_fs,
        "gain_db_at_zero": record.law.gain_db_at_zero,
        "left_out": "; ".join(record.left_out) or None,
    }


def _fingerprint_row(record: FingerprintRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in FINGERPRINT_COLUMNS}
    for name, figure in record.figures.items():
        row[name] = figure.value if figure else None
        row[f"{name}_uncertainty"] = figure.uncertainty if figure else None
    wrong = (f"{control} {format_value(value)}" for control, value in record.wrong.items())
    return row | {
        "setting_id": Setting(record.setting).setting_id,
        "most_likely": Setting(record.most_likely).setting_id if record.most_likely else None,
        "wrong": ", ".join(wrong) or None,
        "alike": "; ".join(record.alike) or None,
    }


def of_ledger(ledger: Ledger, controls: Sequence[Control]) -> Tables:
    """Every manifest by name: its columns and rows. Rejected takes are in none."""
    songs, splits = ledger.songs(), ledger.splits()
    by_id = {song.song_id: song for song in songs}
    captured = [take for take in ledger.takes() if take.status == "captured"]
    proofs = {found.fingerprint_id: found for found in ledger.fingerprints()}
    settings: dict[str, Row] = {}
    for take in captured:
        row = settings.setdefault(
            take.setting_id,
            {"setting_id": take.setting_id, "setting_split": take.setting_split, "takes": 0}
            | _control_values(take.setting, controls, ""),
        )
        row["takes"] += 1
        if row["setting_split"] == "reference":
            row["setting_split"] = take.setting_split
    own = {n: k for n, k in control_columns(controls).items() if not n.endswith("_read_back")}
    setting_columns = {"setting_id": "string", "setting_split": "string", "takes": "int64"} | own
    song_rows = [
        {name: getattr(song, name, None) for name in SONG_COLUMNS}
        | {"split": splits.get(song.song_id)}
        for song in songs
    ]
    return {
        "takes": (
            take_columns(controls),
            [take_row(t, by_id, controls, proofs.get(t.fingerprint_id or "")) for t in captured],
        ),
        "songs": (SONG_COLUMNS, song_rows),
        "settings": (setting_columns, list(settings.values())),
        "calibrations": (
            CALIBRATION_COLUMNS,
            [_calibration_row(c) for c in ledger.calibrations()],
        ),
        "laws": (LAW_COLUMNS, [_law_row(law) for law in ledger.laws()]),
        "fingerprints": (
            FINGERPRINT_COLUMNS,
            [_fingerprint_row(found) for found in proofs.values()],
        ),
        "anchors": (
            ANCHOR_COLUMNS,
            [{name: getattr(a, name) for name in ANCHOR_COLUMNS} for a in ledger.anchors()],
        ),
        "sessions": (
            SESSION_COLUMNS,
            [{name: getattr(s, name) for name in SESSION_COLUMNS} for s in ledger.sessions()],
        ),
    }


def write(root: Path, content: Tables) -> None:
    """Writes ``manifest/NAME.parquet`` and ``.csv`` for each table that is not there, durably."""
    parquet_writer = _pyarrow().parquet
    for name, (columns, rows) in content.items():
        parquet, text = root / "manifest" / f"{name}.parquet", root / "manifest" / f"{name}.csv"
        if same_parquet(parquet, columns, rows) and same_csv(text, columns, rows):
            continue
        table = to_arrow(columns, rows)
        with files.staged(parquet, text) as (parquet_part, text_part):
            parquet_writer.write_table(table, parquet_part)
            text_part.write_text(to_csv(columns, rows), "utf-8", newline="")


def same_parquet(path: Path, columns: Columns, rows: Sequence[Row]) -> bool:
    """Whether the file is there and holds just this table."""
    try:
        return bool(_pyarrow().parquet.read_table(path).equals(to_arrow(columns, rows)))
    except (OSError, ValueError):
        return False


def same_csv(path: Path, columns: Columns, rows: Sequence[Row]) -> bool:
    """Whether the file is there and holds just this table."""
    return path.is_file() and path.read_bytes() == to_csv(columns, rows).encode()


def to_csv(columns: Columns, rows: Sequence[Row]) -> str:
    """The table of ``rows`` as RFC 4180 text, but for its line ends (LF)."""
    buffer = io.StringIO()
    # Until Python 3.13 a lone CR is quoted only if the line end has one in it.
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(values: Iterable[object]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(values)
        return buffer.getvalue().removesuffix("\r\n") + "\n"

    return line(columns) + "".join(line(_csv(row.get(name)) for name in columns) for row in rows)


def to_arrow(columns: Columns, rows: Sequence[Row]) -> Any:
    """The pyarrow.Table of ``rows``; a column that a row lacks is null in it."""
    pa = _pyarrow()
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    return pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema)


def _pyarrow() -> Any:
    """pyarrow has no types; it is loaded late."""
    import importlib

    importlib.import_module("pyarrow.parquet")
    return importlib.import_module("pyarrow")


def _csv(value: object) -> object:
    """Booleans as true and false, numbers so that they read back the same."""
    return str(value).lower() if isinstance(value, bool) else value
