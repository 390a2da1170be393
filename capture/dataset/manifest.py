"""The manifests: tables made from the ledger for those who load the dataset.

Derived, never read back as truth. ``columns`` has their columns, ``tables`` writes them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from capture.dataset import tables
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
    RELEASE_COLUMNS,
    SESSION_COLUMNS,
    SETTING_COLUMNS,
    SONG_COLUMNS,
    TAKE_COLUMNS,
    VISIT_COLUMNS,
    Columns,
    control_columns,
    take_columns,
)
from capture.dataset.tables import Row
from capture.documents import read
from capture.model import (
    AUTO,
    REVISION,
    Control,
    Setting,
    SongRecord,
    Value,
    base_name,
    format_value,
    take_id,
)
from capture.plan.spec import PlanSpec
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
from capture.run.references import accepted

FOLDER = "manifest"
Tables = dict[str, tuple[Columns, Iterable[Row]]]
"""By name: the columns, and the rows, which may be gone through more than once."""


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


def of_ledger(ledger: Ledger, controls: Sequence[Control], releasing: str | None = None) -> Tables:
    """Every manifest by name: its columns and rows. Rejected takes are in none.

    ``releasing``: as the release of that number has them. Takes that were recorded again are not in
    it, nor songs without takes.
    """
    songs, splits = ledger.songs(), ledger.splits()
    proofs = {found.fingerprint_id: found for found in ledger.fingerprints()}
    calibrations, laws, anchors = ledger.calibrations(), ledger.laws(), ledger.anchors(own=False)
    holding = list(levels.in_force(ledger.anchors()).values())
    own = {n: k for n, k in control_columns(controls).items() if not n.endswith("_read_back")}
    setting_columns = SETTING_COLUMNS | own
    played = ledger.songs_played()
    song_rows = [
        {name: getattr(song, name, None) for name in SONG_COLUMNS}
        | {"split": splits.get(song.song_id)}
        for song in songs
        if releasing is None or song.song_id in played
    ]
    return {
        "takes": (take_columns(controls), _TakeRows(ledger, tuple(controls), releasing)),
        "songs": (SONG_COLUMNS, song_rows),
        "settings": (
            setting_columns,
            [_setting_row(take, count, controls) for take, count in ledger.settings_captured()],
        ),
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
        "releases": (RELEASE_COLUMNS, [asdict(release) for release in ledger.releases()]),
        "references": (REFERENCE_COLUMNS, _reference_rows(ledger, proofs)),
        "visits": (
            VISIT_COLUMNS | control_columns(controls),
            [_visit_row(visit, controls) for visit in ledger.visits()],
        ),
    }


@dataclass(frozen=True, slots=True)
class _TakeRows:
    """The rows of ``takes``, made anew each time they are gone through: too many to be kept."""

    ledger: Ledger
    controls: tuple[Control, ...]
    releasing: str | None

    def __iter__(self) -> Iterator[Row]:
        ledger = self.ledger
        songs = {song.song_id: song for song in ledger.songs()}
        proofs = {found.fingerprint_id: found for found in ledger.fingerprints()}
        laws = {law.law_id: law for law in ledger.laws()}
        stood_on = {one.calibration_id: laws.get(one.law_id or "") for one in ledger.calibrations()}
        added = ledger.added_in()
        old = {} if self.releasing else _superseded(ledger)
        captured = (take for take in ledger.takes() if take.status == "captured")
        for take in itertools.chain(captured, (take for take, _ in old.values())):
            yield take_row(
                take,
                songs,
                self.controls,
                proofs.get(take.fingerprint_id or ""),
                stood_on.get(take.calibration_id),
            ) | {
                "added_in": added.get(take.take_id, self.releasing),
                "superseded_by": old.get(take.take_id, (take, None))[1],
            }


def _setting_row(take: TakeRecord, count: int, controls: Sequence[Control]) -> Row:
    """Of one take of a setting, and how many there are."""
    return {
        "setting_id": take.setting_id,
        "setting_split": take.setting_split,
        "takes": count,
        **_control_values(take.setting, controls, ""),
    }


def _superseded(ledger: Ledger) -> dict[str, tuple[TakeRecord, str]]:
    """By id, the takes of releases that are recorded again, each with the id of what follows it."""
    gone = [old.take for old in ledger.superseded()]
    if not gone:
        return {}
    plan = read(ledger.current("plan") or "", "the dataset's plan.yaml").check(PlanSpec)
    sources = {song.song_id: song.source_sha256 for song in ledger.songs()}
    return {
        take.take_id: (
            take,
            take_id(
                sources[take.song_id],
                plan.recipe,
                Setting(take.setting),
                take.repeat + REVISION,
            ),
        )
        for take in gone
    }


def _reference_rows(ledger: Ledger, proofs: Mapping[str, FingerprintRecord]) -> list[Row]:
    said = {(one.take_id, one.captured_at): asdict(one) for one in accepted(ledger)}
    return [
        said.get((drift.take_id, drift.captured_at), {}) | asdict(drift)
        for drift in drifts(ledger.references(), proofs)
    ]


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
    for name, (columns, rows) in content.items():
        tables.write(root / FOLDER, name, columns, rows)
