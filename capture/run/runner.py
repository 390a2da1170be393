"""The loop: begin a take, land a take, commit it. Over and over.

A take is in the ledger, or it is not; there is nothing in between (docs/commit.md). The loop only
ever asks the ledger what is left, so it can be stopped at any time and started anew: after an
interruption, a fault or a crash the next run takes the first take that has no row.

What must be recorded again goes back to where it was in the plan's order, so it comes next. While
a take is committed another one may be playing, but none is begun: a slow disk holds the next take
back and never breaks the present one.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from capture.dataset import files, manifest
from capture.errors import CaptureError, Interrupted
from capture.hardware.ports import Rig
from capture.model import Take
from capture.records import LawRecord, SessionRecord, TakeRecord, utc_now
from capture.run import events
from capture.run.attempt import Attempt, discard
from capture.run.bench import Bench
from capture.run.fingerprints import Fingerprints
from capture.run.flights import Flight, Flights, Landed, Task
from capture.run.laws import Laws
from capture.run.ledger import Ledger


@dataclass(frozen=True)
class Job:
    """Everything that a session needs, already checked."""

    task: Task
    ledger: Ledger
    session: SessionRecord
    open_rig: Callable[[], Rig]


def run(job: Job, limit: int | None) -> events.SessionEnded:
    """Records what is left, ``limit`` takes at most. Raises whatever ended it, after saving all."""
    started = time.monotonic()
    done = job.ledger.take_ids()
    left = [take for take in job.task.expansion if take.take_id not in done]
    _start(job, left)
    session, seconds = job.session, 0.0
    try:
        for take in _record_all(job, left[:limit]):
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
    if not left:
        return
    queue = [(take.index, take) for take in left]
    task = job.task
    proofs = Fingerprints(task.folder, job.ledger, task.profile, task.observe, task.stop)
    laws = Laws(task.folder, job.ledger, task.profile, task.observe)
    with closing(_bench(job, laws.valid)) as bench, Flights(task, bench, proofs) as flights:
        while queue or flights or laws.open:
            task.stop()
            take = queue[0][1] if queue else None
            if laws.due(take, bench):
                if not flights:
                    for found in _withdrawn(job, laws.renew(bench)):
                        heapq.heappush(queue, (found.index, found))
                    continue
            elif take is not None and flights.may_add(take):
                if flights.add(take):
                    heapq.heappop(queue)
                continue
            landed = flights.land()
            if landed.attempt is None:
                heapq.heappush(queue, (landed.flight.take.index, landed.flight.take))
            else:
                yield _commit(job, landed)
                laws.landed()


def _withdrawn(job: Job, void: list[str]) -> Iterator[Take]:
    """The takes that a law has shown to be wrong."""
    named = set(void)
    yield from (take for take in job.task.expansion if named and take.take_id in named)


def _bench(job: Job, law: LawRecord | None) -> Bench:
    rig = job.open_rig()
    try:
        return Bench(
            rig,
            job.task.profile,
            job.task.folder.root,
            job.ledger.add_calibration,
            job.task.observe,
            job.task.stop,
            law,
        )
    except BaseException:
        rig.close()
        raise


def _commit(job: Job, landed: Landed) -> TakeRecord:
    """Gives the files their names, and the take its row; see docs/commit.md."""
    flight, attempt = landed.flight, landed.attempt
    assert attempt is not None  # else there is nothing to commit
    targets = job.task.folder.take_files(flight.take, rejected=bool(attempt.failed))
    parts = (attempt.parts.output, attempt.parts.cv, attempt.parts.markers)
    try:
        files.commit(dict(zip(parts, targets, strict=True)))
    except BaseException:
        discard(attempt.parts)
        raise
    found = _record_of(job, landed.flight, attempt, targets)
    job.ledger.commit_take(found)
    job.task.observe(events.TakeDone(flight.take, found))
    return found


def _record_of(
    job: Job, flight: Flight, attempt: Attempt, targets: tuple[Path, Path, Path]
) -> TakeRecord:
    take, calibration, meter = flight.take, flight.calibration, attempt.meter
    output, cv, markers = targets
    levels, folder = meter.levels(), job.task.folder
    volts_per_fs = job.task.profile.cv.volts_per_fs
    recipe = job.task.expansion.recipe
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
        session_id=job.session.session_id,
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
        fingerprint_id=flight.fingerprint.fingerprint_id if flight.fingerprint else None,
        fingerprint_verdict=flight.fingerprint.verdict if flight.fingerprint else None,
    )


def _confirmed(flight: Flight) -> bool:
    return flight.fingerprint is not None and flight.fingerprint.verdict == "confirmed"


def _start(job: Job, left: list[Take]) -> None:
    if left:
        job.ledger.put_session(job.session)
    counted = job.ledger.count()
    job.task.observe(
        events.SessionStarted(
            dataset=str(job.task.folder.root),
            planned=len(job.task.expansion),
            captured=counted.get("captured", (0, 0))[0],
            rejected=counted.get("rejected", (0, 0))[0],
            to_record=len(left),
            audio_s=sum(take.frames for take in left) / job.task.expansion.recipe.sample_rate_hz,
            sample_rate_hz=job.task.expansion.recipe.sample_rate_hz,
        )
    )


def _end(
    job: Job, session: SessionRecord, left: list[Take], wall_s: float, audio_s: float
) -> events.SessionEnded:
    """Closes the session in the ledger and writes the manifests anew."""
    session = replace(session, ended_at=utc_now(), outcome=session.outcome or "fault")
    if left:
        job.ledger.put_session(session)
    manifest.write(
        job.task.folder.root, manifest.of_ledger(job.ledger, job.task.expansion.controls)
    )
    counted = job.ledger.count()
    ended = events.SessionEnded(
        outcome=session.outcome or "fault",
        planned=len(job.task.expansion),
        captured=counted.get("captured", (0, 0))[0],
        rejected=counted.get("rejected", (0, 0))[0],
        wall_s=wall_s,
        audio_s=audio_s,
    )
    job.task.observe(ended)
    return ended
