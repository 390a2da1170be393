"""The manifests: tables made from the ledger for those who load the dataset.

Derived, never read back as truth. Each table is written as Parquet and as CSV with the same
columns (``columns``). No NaN and no infinity: what is absent is null (an empty field in CSV).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.columns import (
    ANCHOR_COLUMNS,
    CALIBRATION_COLUMNS,
    ENROLMENT_COLUMNS,
    FILE_COLUMNS,
    FINGERPRINT_COLUMNS,
    LAW_COLUMNS,
    LAW_STEP_COLUMNS,
    MEASURED,
    REFERENCE_COLUMNS,
    SESSION_COLUMNS,
    SONG_COLUMNS,
    TAKE_COLUMNS,
    VISIT_COLUMNS,
    Columns,
    control_columns,
    take_columns,
)
from capture.model import AUTO, Control, Setting, SongRecord, Value, base_name, format_value
from capture.records import (
    CalibrationRecord,
    ChannelDelay,
    EnrolmentRecord,
    FingerprintRecord,
    LawRecord,
    TakeRecord,
    VisitRecord,
)
from capture.reference import drifts
from capture.run import levels
from capture.run.ledger import Ledger

Row = dict[str, Any]
Tables = dict[str, tuple[Columns, list[Row]]]
"""By name: the columns, and the rows."""


def take_row(
    record: TakeRecord,
    songs: Mapping[str, SongRecord],
    controls: Sequence[Control],
    proof: FingerprintRecord | None,
    law: LawRecord | None,
) -> Row:
    """One row of takes.parquet; ``proof`` and ``law`` are those that the take stands on."""
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
    if law is not None:
        row |= {
            "send_gain_verdict": levels.verdict(law.levels, "send"),
            "return_gain_verdict": levels.verdict(law.levels, "return_left", "return_right"),
            "static_left_db": law.static_left_db,
            "static_right_db": law.static_right_db,
            "temperature_c": law.temperature_c,
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


def _delays(delays: Mapping[str, ChannelDelay], start: str = "") -> Row:
    row: Row = {}
    for channel, found in delays.items():
        row |= {
            f"{start}delay_{channel}_frames": found.delay_frames,
            f"{start}delay_uncertainty_{channel}_frames": found.uncertainty_frames,
            f"{start}inverted_{channel}": found.inverted,
            f"{start}peak_to_rms_{channel}": found.peak_to_rms,
            f"{start}gain_{channel}_db": found.gain_db,
            f"{start}gain_uncertainty_{channel}_db": found.gain_uncertainty_db,
        }
    return row


def _calibration_row(record: CalibrationRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in CALIBRATION_COLUMNS}
    for found in record.delays.values():
        row |= {"delay_low_hz": found.low_hz, "delay_high_hz": found.high_hz}
    return (
        row
        | _delays(record.delays)
        | {
            "gain_db_per_fs": record.law.gain_db_per_fs,
            "gain_db_at_zero": record.law.gain_db_at_zero,
            "gain_law_origin": record.law.origin,
        }
    )


def _law_row(record: LawRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in LAW_COLUMNS}
    row |= {
        "setting_id": Setting(record.setting).setting_id,
        "gain_db_per_fs": record.law.gain_db_per_fs,
        "gain_db_at_zero": record.law.gain_db_at_zero,
        "left_out": "; ".join(record.left_out) or None,
    }
    if loud := record.loud:
        row |= {
            "loud_level_dbfs": loud.level_dbfs,
            "loud_send_gain_db": loud.send_gain_db,
            "loud_deepest_gain_db": loud.deepest_gain_db,
            "loud_calibration_id": loud.calibration_id,
        }
        row |= _delays(loud.delays, "loud_")
        row |= {f"loud_shift_{name}_frames": shift for name, shift in loud.shift_frames.items()}
    for one in record.levels:
        figures = ("planned_db", "measured_db", "uncertainty_db", "verdict", "reason")
        row |= {f"{one.name}_{figure}": getattr(one, figure) for figure in figures}
    return row


def _law_steps(record: LawRecord) -> list[Row]:
    """In the order in which they were played."""
    return [
        {"law_id": record.law_id, "step": number, **asdict(step)}
        for number, step in enumerate(record.readings, 1)
    ]


def _enrolment_row(record: EnrolmentRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in ENROLMENT_COLUMNS}
    return row | {"probes": len(record.settings), "settings": "; ".join(record.settings)}


def _fingerprint_row(record: FingerprintRecord) -> Row:
    row: Row = {name: getattr(record, name, None) for name in FINGERPRINT_COLUMNS}
    for name, figure in record.figures.items():
        row[name] = figure.value if figure else None
        row[f"{name}_uncertainty"] = figure.uncertainty if figure else None
    wrong = (f"{control} {format_value(value)}" for control, value in record.wrong.items())
    moved = (f"{name} {amount:+.3g}" for name, amount in record.moved.items())
    return row | {
        "setting_id": Setting(record.setting).setting_id,
        "moved": ", ".join(moved) or None,
        "features_db": json.dumps(record.features_db),
        "noise_db": json.dumps(record.noise_db),
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
    calibrations, laws, anchors = ledger.calibrations(), ledger.laws(), ledger.anchors()
    measured = {law.law_id: law for law in laws}
    stood_on = {one.calibration_id: measured.get(one.law_id or "") for one in calibrations}
    holding = list(levels.in_force(anchors).values())
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
            [
                take_row(
                    take,
                    by_id,
                    controls,
                    proofs.get(take.fingerprint_id or ""),
                    stood_on.get(take.calibration_id),
                )
                for take in captured
            ],
        ),
        "songs": (SONG_COLUMNS, song_rows),
        "settings": (setting_columns, list(settings.values())),
        "calibrations": (CALIBRATION_COLUMNS, [_calibration_row(c) for c in calibrations]),
        "laws": (LAW_COLUMNS, [_law_row(law) for law in laws]),
        "law_steps": (LAW_STEP_COLUMNS, [step for law in laws for step in _law_steps(law)]),
        "enrolments": (ENROLMENT_COLUMNS, [_enrolment_row(e) for e in ledger.enrolments()]),
        "fingerprints": (
            FINGERPRINT_COLUMNS,
            [_fingerprint_row(found) for found in proofs.values()],
        ),
        "anchors": (
            ANCHOR_COLUMNS,
            [{**asdict(anchor), "holds": anchor in holding} for anchor in anchors],
        ),
        "sessions": (
            SESSION_COLUMNS,
            [{name: getattr(s, name) for name in SESSION_COLUMNS} for s in ledger.sessions()],
        ),
        "references": (REFERENCE_COLUMNS, [asdict(d) for d in drifts(ledger.references(), proofs)]),
        "visits": (
            VISIT_COLUMNS | control_columns(controls),
            [_visit_row(visit, controls) for visit in ledger.visits()],
        ),
    }


def _visit_row(visit: VisitRecord, controls: Sequence[Control]) -> Row:
    return {
        "setting_id": Setting(visit.setting).setting_id,
        "set_at": visit.set_at,
        "confirmed": visit.confirmed,
        "waited_s": visit.waited_s,
        **_control_values(visit.setting, controls, ""),
        **_control_values(visit.read_back or {}, controls, "_read_back"),
    }


def write(root: Path, content: Tables) -> None:
    """Writes ``manifest/NAME.parquet`` and ``.csv`` for each table that is not there, durably."""
    parquet_writer = pyarrow().parquet
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
        return bool(pyarrow().parquet.read_table(path).equals(to_arrow(columns, rows)))
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
    pa = pyarrow()
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    return pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema)


def _csv(value: object) -> object:
    """Booleans as true and false, numbers so that they read back the same."""
    return str(value).lower() if isinstance(value, bool) else value
