"""The reference cell watches the rack: a drift past the plan's limit pauses the session.

What was recorded stays, and the manifest's table ``references`` says how far the rack had drifted
when. The next run goes on, until the next reference take.
"""

from __future__ import annotations

from capture.errors import HardwareFault
from capture.records import TakeRecord
from capture.reference import drifts, is_reference
from capture.run import events
from capture.run.ledger import Ledger


class References:
    """``limit_db``: None where the plan has no reference."""

    def __init__(self, ledger: Ledger, limit_db: float | None, observe: events.Observer) -> None:
        self._ledger, self._limit_db, self._observe = ledger, limit_db, observe

    def landed(self, take: TakeRecord) -> None:
        """A take was committed. Raises HardwareFault where the rack has drifted too far."""
        if self._limit_db is None or not is_reference(take) or take.status != "captured":
            return
        proofs = {found.fingerprint_id: found for found in self._ledger.fingerprints()}
        drifted = {found.take_id: found for found in drifts(self._ledger.references(), proofs)}
        found = drifted.get(take.take_id)
        if found is None:  # the first of them
            return
        self._observe(events.ReferenceDrifted(found, self._limit_db))
        if found.most_db > self._limit_db:
            raise HardwareFault(
                f"the rack has drifted: the reference is off its first take by {found.most_db:.3f} "
                f"dB (limit {self._limit_db:g}): left {_db(found.gain_left_db)}, right "
                f"{_db(found.gain_right_db)}, CV {_db(found.cv_db)}, response "
                f"{_db(found.response_db)}",
                "let the unit warm up, look at levels and knobs; then run the same command again "
                "to go on (reference.drift_limit_db in the plan is the limit)",
            )


def _db(figure: float | None) -> str:
    return "unknown" if figure is None else f"{figure:+.3f}"
