"""The loop: act as the state says, tell the state what happened. Over and over.

A take is in the ledger, or it is not; there is nothing in between (docs/commit.md). The loop only
ever asks the ledger what is left, so it can be stopped at any time and started anew: after an
interruption, a fault or a crash the next run takes the first take that has no row.

While a take is committed another one may be playing, but none is begun: a slow disk holds the next
take back and never breaks the present one. ``state`` has the table.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from capture.dataset import derived
from capture.errors import CaptureError, DamagedData, Interrupted, StorageRefused
from capture.model import Take
from capture.records import SessionRecord, utc_now
from capture.run import events
from capture.run.state import State, fold
from capture.run.work import Job, Work


def run(job: Job, limit: int | None) -> events.SessionEnded:
    """Records what is left, ``limit`` takes at most. Raises whatever ended it, after saving all."""
    started = time.monotonic()
    left = _left(job)
    _start(job, left)
    session, work = job.session, Work(job, left[:limit])

    def end(session: SessionRecord) -> events.SessionEnded:
        return _end(job, session, left, time.monotonic() - started, work.seconds)

    try:
        if left[:limit]:
            _carry_out(job, work)
    except BaseException as error:
        # A disk that ended the session may refuse its last words too: the first reason is told.
        with contextlib.suppress(StorageRefused, DamagedData):
            end(_cut_short(session, error))
        raise
    cut = limit is not None and len(left) > limit
    outcome = "skipped" if work.skipped else "limit" if cut else "finished"
    return end(replace(session, outcome=outcome))


def _cut_short(session: SessionRecord, error: BaseException) -> SessionRecord:
    if isinstance(error, Interrupted):
        return replace(session, outcome="interrupted")
    if isinstance(error, CaptureError):
        return replace(session, outcome="fault", fault=str(error))
    return session


def _left(job: Job) -> list[Take]:
    """The takes that have no row, but for those that a person has called impossible."""
    done, never = job.ledger.take_ids(), job.ledger.impossible()
    return [
        take
        for take in job.task.expansion
        if take.take_id not in done and take.setting.setting_id not in never
    ]


def _carry_out(job: Job, work: Work) -> None:
    with work.opened():
        state = State.STANDING
        while state is not State.ENDED:
            job.task.stop()
            state = fold(state, work.act(state))


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
    """Closes the session in the ledger and writes anew what is made from it."""
    session = replace(session, ended_at=utc_now(), outcome=session.outcome or "fault")
    if left:
        job.ledger.put_session(session)
    derived.write(job.task.folder, job.ledger, job.task.expansion.controls)
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
