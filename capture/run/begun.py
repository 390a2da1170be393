"""What a dataset was begun with: the plan and the rig in its ledger, read again."""

from __future__ import annotations

from capture.documents import read
from capture.errors import DamagedData
from capture.hardware.profile import RigProfile
from capture.plan.spec import PlanSpec
from capture.records import SessionRecord
from capture.run.asked import read_profile
from capture.run.ledger import Ledger


def plan_and_rig(ledger: Ledger) -> tuple[PlanSpec, RigProfile]:
    """What its takes were recorded by. Raises DamagedData."""
    plan = read(_text(ledger, "plan"), "the dataset's plan.yaml").check(PlanSpec)
    return plan, rig(ledger).at_rate(plan.sample_rate_hz)


def rig(ledger: Ledger) -> RigProfile:
    """Its rig, at whatever rate. Raises DamagedData."""
    return read_profile(read(_text(ledger, "rig"), "the dataset's rig.yaml"))


def of_session(ledger: Ledger, session: SessionRecord) -> tuple[PlanSpec, RigProfile]:
    """What the takes of one session were recorded by. Raises DamagedData."""
    plan_text = _there(ledger, "plan", ledger.document(session.plan_sha256))
    rig_text = _there(ledger, "rig", ledger.document(session.rig_sha256))
    plan = read(plan_text, f"the plan of session {session.session_id}").check(PlanSpec)
    profile = read_profile(read(rig_text, f"the rig of session {session.session_id}"))
    return plan, profile.at_rate(plan.sample_rate_hz)


def _text(ledger: Ledger, kind: str) -> str:
    return _there(ledger, kind, ledger.current(kind))


def _there(ledger: Ledger, kind: str, text: str | None) -> str:
    if text is None:
        raise DamagedData(f"{ledger.path}: names no {kind} that its takes were recorded by")
    return text
