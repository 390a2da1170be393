"""What is known of a rig from before, and what the next run will measure first. For preflight."""

from __future__ import annotations

from pathlib import Path

from capture.dataset import files
from capture.dataset.folder import Folder
from capture.errors import DamagedData, StorageRefused
from capture.run import levels
from capture.run.asked import Asked
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from capture.run.session import begins_anew, same_rig
from capture.signal.preflight import Finding


def findings(root: Path, asked: Asked) -> list[Finding]:
    """Calibration, enrolment and anchors of the dataset; none where it cannot be read."""
    try:
        with files.writing(root):
            exists = Folder(root).exists
        ledger = Ledger.read(root) if exists else None
    except (DamagedData, StorageRefused):
        return []  # others have said so
    if ledger is None:
        return _first(asked)
    try:
        forgotten = begins_anew(asked, ledger) and not same_rig(asked, ledger)
        return _first(asked) if forgotten else _known(root, asked, ledger)
    finally:
        ledger.close()


def _first(asked: Asked) -> list[Finding]:
    """Nothing is known that the next run would take."""
    facts = asked.profile.calibration
    if facts is None:
        return [_expected()]
    return [
        Finding("calibration", "ok", f"none yet; {Laws.first(facts)}"),
        _enrolled(None) if facts.fingerprint else _unproven(),
    ]


def _known(root: Path, asked: Asked, ledger: Ledger) -> list[Finding]:
    facts = asked.profile.calibration
    found = [
        Finding("anchors", "warning", sentence)
        for sentence in levels.disagreements(asked.profile, ledger.anchors())
    ]
    if facts is None:
        return [_expected(), *found]
    laws = Laws(Folder(root), ledger, asked.profile, lambda event: None, asked.spec)
    enrolments = ledger.enrolments(own=True)
    known = enrolments[-1].settings if enrolments else None
    return [
        Finding("calibration", "ok", laws.outlook()),
        _enrolled(known) if facts.fingerprint else _unproven(),
        *found,
    ]


def _expected() -> Finding:
    return Finding(
        "calibration",
        "warning",
        "the rig profile has no section calibration: the law of the CV is the profile's, not "
        "measured on this unit; the next run measures the latency only",
    )


def _enrolled(settings: tuple[str, ...] | None) -> Finding:
    if settings is None:
        return Finding(
            "enrolment",
            "warning",
            "the unit is not enrolled: no setting can be proven by its sound, each will be 'not "
            "verifiable'; capture calibrate PLAN --enrol",
        )
    message = f"{len(settings)} settings; each setting of the plan is proven by its sound"
    return Finding("enrolment", "ok", message)


def _unproven() -> Finding:
    return Finding("enrolment", "skipped", "calibration.fingerprint is false: nothing is proven")
