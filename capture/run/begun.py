"""What a dataset was begun with: the plan and the rig in its ledger, read again."""

from __future__ import annotations

from capture.documents import read
from capture.errors import DamagedData
from capture.hardware.profile import RigProfile
from capture.plan.spec import PlanSpec
from capture.run.asked import read_profile
from capture.run.ledger import Ledger


def plan_and_rig(ledger: Ledger) -> tuple[PlanSpec, RigProfile]:
    """What its takes were recorded by. Raises DamagedData."""
    plan = read(_text(ledger, "plan"), "the dataset's plan.yaml").check(PlanSpec)
    return plan, rig(ledger).at_rate(plan.sample_rate_hz)


def rig(ledger: Ledger) -> RigProfile:
    """Its rig, at whatever rate. Raises DamagedData."""
    return read_profile(read(_text(ledger, "rig"), "the dataset's rig.yaml"))


def _text(ledger: Ledger, kind: str) -> str:
    text = ledger.current(kind)
    if text is None:
        raise DamagedData(f"{ledger.path}: names no {kind} that its takes were recorded by")
    return text
