"""Gives a take's files their names, and the take its row; docs/commit.md has the steps."""

from __future__ import annotations

from pathlib import Path

from capture.dataset import files
from capture.errors import NoRoom
from capture.records import SessionRecord, TakeRecord, utc_now
from capture.run import events
from capture.run.attempt import Attempt, discard
from capture.run.flights import Flight, Task
from capture.run.ledger import Ledger
from capture.run.recorder import Parts
from capture.signal import checks


def commit(
    task: Task, ledger: Ledger, session: SessionRecord, flight: Flight, attempt: Attempt
) -> TakeRecord:
    """Makes the take captured, or rejected. Raises NoRoom, and nothing of it is left."""
    targets = task.folder.take_files(flight.take, rejected=bool(attempt.failed))
    parts = (attempt.parts.output, attempt.parts.cv, attempt.parts.markers)
    try:
        files.commit(dict(zip(parts, targets, strict=True)))
        found = _record_of(task, session, flight, attempt, targets)
        ledger.commit_take(found)
    except NoRoom:
        discard(attempt.parts)
        discard(Parts(*targets))  # no row claims them: what SQLite has no room for it takes back
        raise
    task.observe(events.TakeDone(flight.take, found))
    return found


def _record_of(
    task: Task,
    session: SessionRecord,
    flight: Flight,
    attempt: Attempt,
    targets: tuple[Path, Path, Path],
) -> TakeRecord:
    take, calibration, meter = flight.take, flight.calibration, attempt.meter
    output, cv, markers = targets
    levels, folder = meter.levels(), task.folder
    volts_per_fs = task.profile.cv.volts_per_fs
    recipe = task.expansion.recipe
    delays = {
        name: calibration.delays[name].delay_frames - calibration.latency_frames
        for name in ("left", "right")
    }
    return TakeRecord(
        take_id=take.take_id,
        status="rejected" if attempt.failed else "captured",
        song_id=take.song_id,
        setting_id=take.setting.setting_id,
        setting=dict(take.setting),
        repeat=take.repeat,
        session_id=session.session_id,
        calibration_id=calibration.calibration_id,
        split=take.split,
        setting_split=take.setting_split,
        knobs_confirmed="measured" if _confirmed(flight) else flight.proof.confirmed,
        knobs_read=dict(flight.proof.position) if flight.proof.position else None,
        output_file=folder.relative(output),
        cv_file=folder.relative(cv),
        output_sha256=files.sha256(output),
        cv_sha256=files.sha256(cv),
        output_bytes=output.stat().st_size,
        cv_bytes=cv.stat().st_size,
        sample_rate_hz=calibration.sample_rate_hz,
        num_frames=meter.frames,
        latency_frames=calibration.latency_frames,
        delay_left_frames=delays["left"],
        delay_right_frames=delays["right"],
        cv_volts_per_fs=volts_per_fs,
        law=calibration.law,
        send_gain_db=recipe.send_gain_db,
        return_gain_db=recipe.return_gain_db,
        captured_at=utc_now(),
        attempts=flight.number,
        checks_version=checks.ALGORITHM_VERSION,
        peak_left_dbfs=levels.peak_left_dbfs,
        peak_right_dbfs=levels.peak_right_dbfs,
        rms_left_dbfs=levels.rms_left_dbfs,
        rms_right_dbfs=levels.rms_right_dbfs,
        cv_min_v=levels.cv_min_fs * volts_per_fs,
        cv_max_v=levels.cv_max_fs * volts_per_fs,
        cv_mean_v=levels.cv_mean_fs * volts_per_fs,
        checks=attempt.checks,
        markers_file=folder.relative(markers),
        markers_sha256=files.sha256(markers),
        markers_bytes=markers.stat().st_size,
        delay_cv_frames=delays["left"] + flight.law.cv_delay_frames if flight.law else None,
        cv_corner_hz=flight.law.corner_hz if flight.law else None,
        cv_offset_fs=flight.law.offset_fs if flight.law else None,
        cv_start_fs=attempt.cv_start_fs,
        fingerprint_id=flight.fingerprint.fingerprint_id if flight.fingerprint else None,
        fingerprint_verdict=flight.fingerprint.verdict if flight.fingerprint else None,
    )


def _confirmed(flight: Flight) -> bool:
    return flight.fingerprint is not None and flight.fingerprint.verdict == "confirmed"
