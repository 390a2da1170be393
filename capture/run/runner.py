"""The loop: set the knobs, let the unit come to rest, record, check, commit. Over and over.

A take is in the ledger, or it is not; there is nothing in between (docs/commit.md). The loop only
ever asks the ledger what is left, so it can be stopped at any time and started anew: after an
interruption, a fault or a crash the next run takes the first take that has no row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from capture.dataset import files, manifest
from capture.dataset.folder import Folder
from capture.errors import CaptureError, DamagedData, Interrupted
from capture.hardware.ports import Label, Proof, Rig
from capture.hardware.profile import RigProfile
from capture.model import CheckLimits, CheckResult, SongRecord, Take
from capture.plan.expand import Expansion
from capture.records import CalibrationRecord, SessionRecord, TakeRecord
from capture.run import calibrate, events
from capture.run.ledger import Ledger
from capture.run.recorder import Route, record
from capture.signal.checks import Peaks, TakeMeter


@dataclass(frozen=True)
class Job:
    """Everything that a session needs, already checked."""

    folder: Folder
    ledger: Ledger
    expansion: Expansion
    songs: dict[str, SongRecord]
    profile: RigProfile
    limits: CheckLimits
    session: SessionRecord
    open_rig: Callable[[], Rig]
    observe: events.Observer
    stop: Callable[[], None]
    """Raises Interrupted when somebody asked to stop."""
    sound_songs: set[str] = field(default_factory=set[str])
    """Songs whose files were found unharmed in this session."""


def run(job: Job, limit: int | None) -> events.SessionEnded:
    """Records what is left, ``limit`` takes at most. Raises whatever ended it, after saving all."""
    started = time.monotonic()
    done = job.ledger.take_ids()
    left = [take for take in job.expansion if take.take_id not in done]
    _start(job, left)
    session, seconds = job.session, 0.0
    try:
        if left and limit != 0:
            for take in islice(_record_all(job, left), limit):
                seconds += take.num_frames / take.sample_rate_hz
        outcome = "limit" if limit is not None and len(left) > limit else "finished"
        session = replace(session, outcome=outcome)
    except Interrupted:
        session = replace(session, outcome="interrupted")
        raise
    except CaptureError as error:
        session = replace(session, outcome="fault", fault=str(error))
        raise
    finally:
        ended = _end(job, session, left, time.monotonic() - started, seconds)
    return ended


def _record_all(job: Job, left: list[Take]) -> Iterator[TakeRecord]:
    """Opens the rig and records one take after the other, yielding each as it is committed."""
    rig = job.open_rig()
    try:
        rate = rig.audio.sample_rate_hz
        rig.audio.settle(round(job.profile.settle.after_open_s * rate))
        law = calibrate.expected_law(job.profile.cv)
        calibration = calibrate.measure_latency(rig.audio, law, job.folder.root)
        job.ledger.add_calibration(calibration)
        job.observe(events.Calibrated(calibration))
        proof: Proof | None = None
        standing = None
        for take in left:
            job.stop()
            _require_song(job, take)
            if proof is None or take.setting != standing:
                proof, standing = rig.knobs.set(take.setting), take.setting
                job.observe(events.KnobsSet(take.setting, proof.confirmed))
            yield _capture(job, rig, calibration, take, proof)
    finally:
        rig.close()


def _require_song(job: Job, take: Take) -> None:
    """Hashes a song before its first take of the session: what is played must be what is claimed.

    Raises DamagedData.
    """
    song = job.songs[take.song_id]
    if song.song_id in job.sound_songs:
        return
    path = job.folder.root / song.input_file
    if not path.is_file():
        raise DamagedData(f"{song.input_file}: is missing; capture verify names all damage")
    if files.sha256(path) != song.input_sha256:
        raise DamagedData(f"{song.input_file}: is not the file that was made; see capture verify")
    job.sound_songs.add(song.song_id)


def _capture(
    job: Job, rig: Rig, calibration: CalibrationRecord, take: Take, proof: Proof
) -> TakeRecord:
    """Records a take until it passes its checks, or ``retries`` are used up; commits it."""
    targets = job.folder.take_files(take)
    parts = (files.part_of(targets[0]), files.part_of(targets[1]))
    settle_s = max(
        job.profile.settle.between_takes_s,
        *(c.settle_s(take.setting[c.name]) for c in job.expansion.controls),
    )
    with files.writing(targets[0]):
        files.make_folder(targets[0].parent)
        try:
            attempt = 0
            while True:
                attempt += 1
                rig.audio.settle(round(settle_s * rig.audio.sample_rate_hz))
                job.observe(events.TakeStarted(take, attempt))
                meter, checks = _attempt(job, rig, calibration, take, attempt, parts)
                reasons = tuple(_words(check) for check in checks if check.verdict == "fail")
                if not reasons:
                    break
                job.observe(events.TakeVoid(take, attempt, reasons))
                if attempt > job.limits.retries:
                    targets = job.folder.take_files(take, rejected=True)
                    break
            files.commit(dict(zip(parts, targets, strict=True)))
        except BaseException:
            for part in parts:
                part.unlink(missing_ok=True)
            raise
    found = _record_of(job, calibration, take, proof, meter, checks, targets, attempt)
    job.ledger.commit_take(found)
    job.observe(events.TakeDone(take, found))
    return found


def _attempt(
    job: Job,
    rig: Rig,
    calibration: CalibrationRecord,
    take: Take,
    attempt: int,
    parts: tuple[Path, Path],
) -> tuple[TakeMeter, tuple[CheckResult, ...]]:
    meter = TakeMeter(rig.audio.sample_rate_hz, calibration.law)
    route = Route(
        song=job.folder.root / job.songs[take.song_id].input_file,
        frames=take.frames,
        send_gain_db=job.expansion.recipe.send_gain_db,
        latency_frames=calibration.latency_frames,
    )

    def progress(frames: int, peaks: Peaks) -> None:
        job.stop()
        job.observe(events.TakeProgress(take, frames, peaks))

    label = Label("take", take.take_id, attempt)
    interval = record(rig.audio, route, label, parts, meter, progress)
    flags = ", ".join(sorted(interval.flags))
    expected = [
        calibration.delays[name].delay_frames - calibration.latency_frames
        for name in ("left", "right")
    ]
    stream = CheckResult("stream_flags", len(interval.flags), 0, "fail" if flags else "pass")
    return meter, (stream, *meter.verdicts(take.frames, expected, job.limits))


def _record_of(
    job: Job,
    calibration: CalibrationRecord,
    take: Take,
    proof: Proof,
    meter: TakeMeter,
    checks: tuple[CheckResult, ...],
    targets: tuple[Path, Path],
    attempts: int,
) -> TakeRecord:
    levels, law = meter.levels(), calibration.law
    volts_per_fs = job.profile.cv.volts_per_fs
    failed = any(check.verdict == "fail" for check in checks)
    return TakeRecord(
        take_id=take.take_id,
        status="rejected" if failed else "captured",
        song_id=take.song_id,
        setting_id=take.setting.setting_id,
        setting=dict(take.setting),
        repeat=take.repeat,
        session_id=job.session.session_id,
        calibration_id=calibration.calibration_id,
        split=take.split,
        setting_split=take.setting_split,
        knobs_confirmed=proof.confirmed,
        knobs_read=dict(proof.position) if proof.position else None,
        output_file=job.folder.relative(targets[0]),
        cv_file=job.folder.relative(targets[1]),
        output_sha256=files.sha256(targets[0]),
        cv_sha256=files.sha256(targets[1]),
        output_bytes=targets[0].stat().st_size,
        cv_bytes=targets[1].stat().st_size,
        sample_rate_hz=calibration.sample_rate_hz,
        num_frames=meter.frames,
        latency_frames=calibration.latency_frames,
        delay_left_frames=calibration.delays["left"].delay_frames - calibration.latency_frames,
        delay_right_frames=calibration.delays["right"].delay_frames - calibration.latency_frames,
        cv_volts_per_fs=volts_per_fs,
        law=law,
        send_gain_db=job.expansion.recipe.send_gain_db,
        return_gain_db=job.expansion.recipe.return_gain_db,
        captured_at=utc_now(),
        attempts=attempts,
        peak_left_dbfs=levels.peak_left_dbfs,
        peak_right_dbfs=levels.peak_right_dbfs,
        rms_left_dbfs=levels.rms_left_dbfs,
        rms_right_dbfs=levels.rms_right_dbfs,
        cv_min_v=levels.cv_min_fs * volts_per_fs,
        cv_max_v=levels.cv_max_fs * volts_per_fs,
        cv_mean_v=levels.cv_mean_fs * volts_per_fs,
        checks=checks,
    )


def utc_now() -> str:
    """Now, as the records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _words(check: CheckResult) -> str:
    if check.figure is None:
        return f"{check.name}: nothing to measure"
    return f"{check.name}: {check.figure:.4g} (limit {check.limit:g})"


def _start(job: Job, left: list[Take]) -> None:
    if left:
        job.ledger.put_session(job.session)
    counted = job.ledger.count()
    job.observe(
        events.SessionStarted(
            dataset=str(job.folder.root),
            planned=len(job.expansion),
            captured=counted.get("captured", (0, 0))[0],
            rejected=counted.get("rejected", (0, 0))[0],
            to_record=len(left),
            audio_s=sum(take.frames for take in left) / job.expansion.recipe.sample_rate_hz,
            sample_rate_hz=job.expansion.recipe.sample_rate_hz,
        )
    )


def _end(
    job: Job, session: SessionRecord, left: list[Take], wall_s: float, audio_s: float
) -> events.SessionEnded:
    """Closes the session in the ledger and writes the manifests anew."""
    session = replace(session, ended_at=utc_now(), outcome=session.outcome or "fault")
    if left:
        job.ledger.put_session(session)
    manifest.write(job.folder.root, manifest.of_ledger(job.ledger, job.expansion.controls))
    counted = job.ledger.count()
    ended = events.SessionEnded(
        outcome=session.outcome or "fault",
        planned=len(job.expansion),
        captured=counted.get("captured", (0, 0))[0],
        rejected=counted.get("rejected", (0, 0))[0],
        wall_s=wall_s,
        audio_s=audio_s,
    )
    job.observe(ended)
    return ended
