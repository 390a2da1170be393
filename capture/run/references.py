"""The reference cell watches the rack: a drift past the plan's limit pauses the session.

1. Each take of the reference is compared with the first one (``capture.reference``). What is judged
   by the limit is the drift since the last take that somebody accepted; without one, the same.
2. Past the limit the person at the rack is asked. Accepted, the session goes on, and compares with
   this take from now on; who said so and when is kept. Or the take is recorded again.
3. Where nobody is there, or whoever is says stop, the session ends. All takes stay. The next run
   begins with that take, recorded anew: it goes on by itself if the drift has gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from capture.dataset.folder import Folder
from capture.errors import HardwareFault
from capture.hardware.ports import DriftSaid, Operator
from capture.records import TakeRecord, utc_now
from capture.reference import Accepted, Drift, drifts, is_reference, since_accepted
from capture.run import events
from capture.run.ledger import Ledger

FACT = "accepted_drifts"
WHAT_TO_DO = (
    "all that was captured is saved. Let the unit warm up, look at levels and knobs, then run the "
    "same command again: it records the reference once more before it goes on",
    "in a terminal you are asked, and can accept the drift; reference.drift_limit_db in the plan "
    "is its limit",
)
_ACCEPTED = TypeAdapter(list[Accepted])


class References:
    """``limit_db``: None where the plan has none. Without an ``operator`` nobody is there."""

    def __init__(
        self,
        ledger: Ledger,
        limit_db: float | None,
        observe: events.Observer,
        operator: Operator | None = None,
    ) -> None:
        self._ledger, self._limit_db, self._observe = ledger, limit_db, observe
        self._operator = operator

    def landed(self, take: TakeRecord) -> str | None:
        """A take was committed. Why it is to be recorded again, where a person wants that.

        Raises HardwareFault where the rack has drifted too far and nobody accepts it.
        """
        if self._limit_db is None or not is_reference(take) or take.status != "captured":
            return None
        found = _last(self._ledger)
        if found is None:  # the first of them
            return None
        self._observe(events.ReferenceDrifted(found.first, self._limit_db, found.since))
        if found.since.most_db <= self._limit_db:
            return None
        how = found.words(self._limit_db)
        said = self._operator.drifted(how) if self._operator else DriftSaid("stop")
        if said.what == "stop":
            raise HardwareFault(f"the rack has drifted: {how}", *WHAT_TO_DO)
        if said.what == "again":
            return f"the rack had drifted: {how}"
        _accept(self._ledger, take, said.by)
        self._observe(events.Note(f"accepted by {said.by}: {how}"))
        return None


def look_again(
    folder: Folder, ledger: Ledger, limit_db: float | None, observe: events.Observer
) -> None:
    """At the beginning of a run: is a drift that nobody accepted there still?

    The take that showed it is withdrawn, and so the next to be recorded.
    """
    found = _last(ledger) if limit_db is not None else None
    if found is None or limit_db is None or found.since.most_db <= limit_db:
        return
    reason = f"the rack had drifted: {found.words(limit_db)}"
    folder.lose(ledger.withdraw([found.since.take_id], reason))
    observe(events.Note(f"{reason}; nobody accepted it: the reference is recorded again"))


def accepted(ledger: Ledger) -> list[Accepted]:
    """What somebody accepted, in the order in which it was said."""
    return _ACCEPTED.validate_json(ledger.fact(FACT) or "[]")


def _accept(ledger: Ledger, take: TakeRecord, by: str) -> None:
    said = Accepted(take.take_id, take.captured_at, by, utc_now())
    ledger.set_fact(FACT, _ACCEPTED.dump_json([*accepted(ledger), said]).decode())


@dataclass(frozen=True, slots=True)
class _Found:
    """Of the last take of the reference: its drift since the first, and ``since`` the accepted."""

    first: Drift
    since: Drift

    def words(self, limit_db: float) -> str:
        off, since = f"{self.since.most_db:.3f} dB (limit {limit_db:g})", self.since
        figures = (
            f"left {_db(since.gain_left_db)}, right {_db(since.gain_right_db)}, "
            f"CV {_db(since.cv_db)}, response {_db(since.response_db)}"
        )
        if since == self.first:
            return f"the reference is off its first take by {off}: {figures}"
        return (
            f"the reference is off the take that was accepted by {off}: {figures}; off the first "
            f"by {self.first.most_db:.3f} dB"
        )


def _last(ledger: Ledger) -> _Found | None:
    """None where it is the first, or was accepted."""
    takes = list(ledger.references())
    proofs = {found.fingerprint_id: found for found in ledger.fingerprints()}
    since = since_accepted(takes, proofs, accepted(ledger))
    return _Found(list(drifts(takes, proofs))[-1], since) if since else None


def _db(figure: float | None) -> str:
    return "unknown" if figure is None else f"{figure:+.3f}"
