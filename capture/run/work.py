"""What a session does in each of its states, and what it then reports to have happened."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from capture.errors import NoRoom
from capture.hardware.ports import Declined, Operator, Rig
from capture.model import Take
from capture.records import LawRecord, SessionRecord
from capture.run import events
from capture.run.attempt import Attempt
from capture.run.bench import Bench
from capture.run.commit import commit
from capture.run.fingerprints import Fingerprints
from capture.run.flights import Flights, Landed, Task
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from capture.run.queue import Queue
from capture.run.references import References
from capture.run.state import Event, State


@dataclass(frozen=True)
class Job:
    """Everything that a session needs, already checked."""

    task: Task
    ledger: Ledger
    session: SessionRecord
    drift_limit_db: float | None
    open_rig: Callable[[], Rig]
    operator: Operator | None = None
    """Who is asked what to do about a rack that has drifted."""


class Work:
    """What is done in each state, and what happened then."""

    def __init__(self, job: Job, takes: list[Take]) -> None:
        self._job = job
        self._queue = Queue(takes)
        self._takes = job.task.expansion
        self._laws = Laws(job.task.folder, job.ledger, job.task.profile, job.task.observe)
        self._proofs = Fingerprints(
            job.task.folder, job.ledger, job.task.profile, job.task.observe, job.task.stop
        )
        self._references = References(
            job.ledger, job.drift_limit_db, job.task.observe, job.operator
        )
        self.seconds = 0.0

    @property
    def skipped(self) -> bool:
        """Whether takes were put off to another run."""
        return self._queue.skipped

    @contextlib.contextmanager
    def opened(self) -> Generator[None]:
        """Opens the rig, and closes it when the block ends."""
        with (
            closing(_bench(self._job, self._laws.valid)) as self._bench,
            Flights(self._job.task, self._bench, self._proofs) as self._flights,
        ):
            self._bench.warm_up()
            yield

    def act(self, state: State) -> Sequence[Event]:
        """Raises whatever ends the session."""
        try:
            return ACTS[state](self)
        except NoRoom as full:
            self._flights.full = full
            return [Event.BROKEN]

    def stand(self) -> Sequence[Event]:
        take = self._queue.next
        if self._flights.broken or self._laws.due(take, self._bench):
            return [Event.BROKEN]
        if take is None:
            return [Event.OVER]
        return [Event.BROKEN] if self._flights.worn(take) else self._begin(take)

    def play(self) -> Sequence[Event]:
        take = self._queue.next
        if take is None or not self._flights.may_follow(take):
            return self.land()
        return [Event.BROKEN] if self._laws.due(take, self._bench) else self._begin(take)

    def _begin(self, take: Take) -> Sequence[Event]:
        try:
            begun = self._flights.add(take)
        except Declined as declined:
            self._decline(take, declined)
            return []
        if not begun:
            return [Event.BROKEN]
        self._queue.take()
        return [Event.BEGUN]

    def land(self) -> Sequence[Event]:
        landed = self._flights.land()
        if landed.attempt is not None:
            landed = self._commit(landed, landed.attempt)
        if landed.attempt is None:
            self._queue.put(landed.flight.take)
        if landed.doubted:
            reason = "a knob was moved, and nothing shows that it was not moved before"
            self._withdraw(landed.doubted, reason)
        down = Event.LANDED if self._flights else Event.EMPTIED
        return [Event.BROKEN, down] if self._flights.broken else [down]

    def mend(self) -> Sequence[Event]:
        take = self._queue.next
        self._flights.mend(take)
        if not self._flights.broken and self._laws.due(take, self._bench):
            self._again(self._laws.renew(self._bench))
        return [] if self._flights.broken else [Event.MENDED]

    def _commit(self, landed: Landed, attempt: Attempt) -> Landed:
        try:
            found = commit(
                self._job.task, self._job.ledger, self._job.session, landed.flight, attempt
            )
        except NoRoom as full:
            return self._flights.put_off(landed.flight, full)
        self._laws.landed()
        self._proofs.landed(found.take_id, attempt.knobs)
        if again := self._references.landed(found):
            self._withdraw([found.take_id], again)
        self.seconds += found.num_frames / found.sample_rate_hz
        return landed

    def _decline(self, take: Take, declined: Declined) -> None:
        """The person at the rack does not set the knobs for ``take``."""
        setting = take.setting
        said = events.SettingDeclined(setting, declined.what, declined.reason)
        self._job.task.observe(said)
        if declined.what == "back":
            self._withdraw(self._proofs.recorded, "the knobs stood wrong, said who turned them")
            return
        if declined.what == "impossible":
            self._job.ledger.add_impossible(setting.setting_id, declined.reason)
        self._queue.put_off(setting, for_good=declined.what == "impossible")

    def _withdraw(self, take_ids: Sequence[str], reason: str) -> None:
        self._job.task.folder.lose(self._job.ledger.withdraw(take_ids, reason))
        self._again(take_ids)

    def _again(self, take_ids: Sequence[str]) -> None:
        """These takes, or what supersedes them, go back to their place in the plan's order."""
        named = set(take_ids)
        if not named:
            return
        places = [take.index for take in self._takes if take.take_id in named]
        self._takes = self._takes.revised(self._job.ledger.revisions())
        for index in places:
            self._queue.put(self._takes.take(index))


ACTS: dict[State, Callable[[Work], Sequence[Event]]] = {
    State.STANDING: Work.stand,
    State.PLAYING: Work.play,
    State.DRAINING: Work.land,
    State.MENDING: Work.mend,
}


def _bench(job: Job, law: LawRecord | None) -> Bench:
    rig = job.open_rig()
    try:
        return Bench(
            rig,
            job.task.profile,
            job.task.folder.root,
            job.ledger,
            job.task.observe,
            job.task.stop,
            law,
        )
    except BaseException:
        rig.close()
        raise
