"""The CV's law: measured before takes and again after them, so that it brackets them all.

1. Without a law that holds, one is measured before the first take. A law holds for hours and for
   takes, as the rig profile says; the ledger remembers it from run to run.
2. When it has run out it is measured anew, at the next turn of the knobs; and when a run has
   recorded all that it should.
3. The new law is compared with the one before, within the range that both were measured in. Where
   they differ by more than the limit, the takes in between are withdrawn and recorded again: one
   of the two laws is wrong for them, and nobody knows for which. So it is where a level (send,
   returns) has moved by more than ``levels.LIMIT_DB``.
4. With each law the gains of the plan are verified (``levels``). What differs is said; a send that
   contradicts the anchors ends the run, and a law that says so does not hold.
5. A rig profile without a section ``calibration`` has its law taken from the profile; every row
   says so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from capture.dataset.claims import names_of
from capture.dataset.folder import Folder
from capture.errors import HardwareFault
from capture.hardware.profile import CalibrationProfile, RigProfile
from capture.model import Setting, Take
from capture.plan.spec import PlanSpec
from capture.records import LawRecord, LevelCheck
from capture.run import begun, events, levels
from capture.run.bench import Bench
from capture.run.ledger import Ledger

MOST_REPEATS = 2
"""How often a take may be withdrawn because the law did not hold."""


class Laws:
    """Whether a law must be measured, and what follows from it.

    ``plan``: that by which takes will be recorded; if it is None, the ledger's.
    """

    def __init__(
        self,
        folder: Folder,
        ledger: Ledger,
        profile: RigProfile,
        observe: events.Observer,
        plan: PlanSpec | None = None,
    ) -> None:
        self._folder, self._ledger, self._observe = folder, ledger, observe
        self._facts = profile.calibration
        self._plan = plan or begun.plan_and_rig(ledger)[0]
        self._law: LawRecord | None = None
        self._takes = 0
        if known := ledger.laws(own=True):
            self._law = known[-1]
            self._takes = len(ledger.takes_since(self._law.law_id))

    @property
    def valid(self) -> LawRecord | None:
        """The law that holds now; None where one must be measured, or the profile's is taken."""
        law = self._law
        if self._facts is None or law is None or self._worn >= 1:
            return None
        # Anchors may be others by now, or the law from before levels were verified.
        if law.levels != self._levels(law) or self._refused(law):
            return None
        return law

    @property
    def open(self) -> bool:
        """Whether takes were recorded since the law was measured."""
        return self._facts is not None and self._takes > 0

    @property
    def _worn(self) -> float:
        """1 when the law has run out."""
        facts, law = self._facts, self._law
        if facts is None or law is None:
            return 0.0
        age = datetime.now(UTC) - datetime.fromisoformat(law.measured_at)
        hours = abs(age.total_seconds()) / 3600  # a clock may have been set back
        return max(hours / facts.valid_hours, self._takes / facts.valid_takes)

    def due(self, take: Take | None, bench: Bench) -> bool:
        """Whether a law must be measured before ``take``; before the end, where it is None."""
        if self._facts is None:
            return False
        if take is None:
            return self.open
        if bench.law is None:
            return True
        # Knobs are turned for it: better when they are to be turned anyway.
        return self._worn >= (2 if bench.stands_at(take.setting) else 1)

    def landed(self) -> None:
        """A take was committed."""
        self._takes += 1

    def renew(self, bench: Bench) -> list[str]:
        """Measures the law, for takes. Returns the ids of the takes that were withdrawn.

        Raises HardwareFault as ``measure`` does, and where the send is not what it is labelled.
        """
        void = self.measure(bench)
        assert self._law is not None  # just measured
        if refused := self._refused(self._law):
            raise HardwareFault(*refused)
        for one in self._law.levels:
            if one.verdict == "differs":
                self._observe(events.Note(one.reason))
        return void

    def measure(self, bench: Bench, temperature_c: float | None = None) -> list[str]:
        """Measures the law. Returns the ids of the takes that were withdrawn.

        ``temperature_c``: the rack's, where somebody said it. Raises HardwareFault when it cannot
        be measured, or never holds.
        """
        facts, before = self._facts, self._law
        assert facts is not None  # else it is never due
        setting, number = Setting(facts.setting), len(self._ledger.laws()) + 1
        law = bench.measure_law(setting, number, self._plan.level.send_gain_db)
        law = replace(law, temperature_c=temperature_c, levels=self._levels(law))
        void: list[str] = []
        if before is not None:
            drift_db, moved_db = difference_db(before, law), levels.moved_db(before, law)
            law = replace(
                law, previous_id=before.law_id, drift_db=drift_db, level_drift_db=moved_db
            )
            if drift_db > facts.drift_limit_db or moved_db > levels.LIMIT_DB:
                void = self._ledger.takes_since(before.law_id)
        self._ledger.add_law(law, void)
        self._law, self._takes = law, 0
        if void:  # their files are nobody's now
            self._folder.sweep(names_of(self._ledger))
        self._observe(events.LawMeasured(law, facts.drift_limit_db, len(void)))
        bench.adopt(law)
        if any(self._ledger.withdrawals(take_id) > MOST_REPEATS for take_id in void):
            raise HardwareFault(
                f"the law of the CV did not hold, {MOST_REPEATS + 1} times: the last time it moved "
                f"by {law.drift_db:.3g} dB (limit {facts.drift_limit_db:g}), the levels by "
                f"{law.level_drift_db:.3g} dB (limit {levels.LIMIT_DB:g}); let the unit warm up, "
                "then run the same command again to go on"
            )
        return void

    @staticmethod
    def first(facts: CalibrationProfile) -> str:
        """What a run measures first that finds no law."""
        return f"the next run measures the latency, then the law at {Setting(facts.setting)}"

    def outlook(self) -> str:
        """The law that is known, how long it holds, and what the next run measures first."""
        facts, law = self._facts, self._law
        assert facts is not None  # else there is none to come
        if law is None:
            return f"none yet; {self.first(facts)}"
        measured = datetime.fromisoformat(law.measured_at)
        age_h = (datetime.now(UTC) - measured).total_seconds() / 3600
        known = (
            f"gain law of {law.measured_at}, {age_h:.1f} h old, accurate to {law.accuracy_db:.4f} "
            f"dB, {self._takes} takes on it"
        )
        if self.valid is None:
            return f"{known}; it does not hold any more: {self.first(facts)}"
        until = (measured + timedelta(hours=facts.valid_hours)).isoformat(timespec="minutes")
        return (
            f"{known}; it holds for {facts.valid_takes - self._takes} more, and until {until}; the "
            "next run measures the latency first, and the law when it has run out and at its end"
        )

    def _levels(self, law: LawRecord) -> tuple[LevelCheck, ...]:
        return levels.check(law, self._plan.level, self._ledger.anchors())

    def _refused(self, law: LawRecord) -> list[str]:
        return levels.refused(law.levels, self._ledger.anchors())


def difference_db(before: LawRecord, after: LawRecord) -> float:
    """By how much at most two laws read a gain otherwise, where the first was measured.

    Both are straight lines: they differ most at one of the ends, rest or deepest reduction.
    """
    old, new = before.law, after.law
    ends = (
        (gain_db - old.gain_db_at_zero) / old.gain_db_per_fs
        for gain_db in (0.0, before.deepest_gain_db)
    )
    return max(
        abs(
            (new.gain_db_per_fs - old.gain_db_per_fs) * cv_fs
            + new.gain_db_at_zero
            - old.gain_db_at_zero
        )
        for cv_fs in ends
    )
