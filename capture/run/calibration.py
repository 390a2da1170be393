"""``capture calibrate``: what is measured of a rig before and apart from its takes.

It goes into the ledger of the plan's dataset, where the next run finds it. A new law is compared
with the one before it, as in a run; takes that it shows to be wrong are withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from capture.dataset import manifest
from capture.dataset.folder import Folder
from capture.errors import BadInput
from capture.hardware.ports import Operator, Rig
from capture.hardware.profile import Anchors, RigProfile
from capture.model import Value
from capture.plan.settings import Chosen, choose
from capture.records import AnchorRecord, CalibrationRecord, EnrolmentRecord, LawRecord
from capture.run import anchors, events, session
from capture.run.asked import Asked
from capture.run.bench import Bench
from capture.run.fingerprints import Fingerprints
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from capture.signal.fingerprint.greybox import MAX_ENROLMENT

GAIN_LIMIT_DB = 0.1


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was found. ``anchors`` are those that were measured just now, ``profile`` has others.

    ``return_error_db``: by how much more the returns are raised than the plan's
    ``return_gain_db`` says, make-up gain included: (left, right).
    """

    latency: CalibrationRecord
    law: LawRecord
    anchors: tuple[AnchorRecord, ...]
    profile: Anchors
    return_error_db: tuple[float, float]
    withdrawn: int
    enrolment: EnrolmentRecord | None


def require_section(profile: RigProfile) -> None:
    """Raises BadInput where the profile does not say where the law is measured."""
    if profile.calibration is None:
        raise BadInput(
            f"rig {profile.name}: has no section calibration; name the setting to measure at: "
            "the lowest threshold, the highest ratio, the fastest attack"
        )


def calibrate(
    asked: Asked,
    folder: Folder,
    ledger: Ledger,
    open_rig: Callable[[], Rig],
    observe: events.Observer,
    stop: Callable[[], None],
    operator: Operator | None = None,
    temperature_c: float | None = None,
    *,
    enrol: bool = False,
) -> Calibrated:
    """Measures latency and law of a rig that has the section.

    With an ``operator`` at a voltmeter the level anchors as well; ``enrol``: what the unit shows.
    Raises BadInput, HardwareFault, DamagedData, StorageRefused.
    """
    profile = asked.profile
    session.settle_in(asked, folder, ledger, observe)
    rig = open_rig()
    with closing(rig):
        bench = Bench(rig, profile, folder.root, ledger.add_calibration, observe, stop)
        laws = Laws(folder, ledger, profile, observe)
        void = laws.renew(bench, temperature_c)
        law = bench.law
        assert law is not None  # just measured
        # The knobs stand where the law was measured: a tone moves the CV there.
        found = anchors.measure(bench.audio, operator) if operator else []
        enrolment = None
        if enrol:
            proofs = Fingerprints(folder, ledger, profile, observe, stop)
            enrolment = proofs.enrol(bench, _positions(asked))
    ledger.add_anchors(found)
    if ledger.take_ids() or void:
        manifest.write(folder.root, manifest.of_ledger(ledger, asked.controls))
    planned_db = asked.spec.level.return_gain_db
    return Calibrated(
        latency=bench.calibration,
        law=law,
        anchors=tuple(found),
        profile=profile.audio.dbfs_to_dbu,
        return_error_db=(law.static_left_db - planned_db, law.static_right_db - planned_db),
        withdrawn=len(void),
        enrolment=enrolment,
    )


def _positions(asked: Asked) -> dict[str, Sequence[Value]]:
    """Each control's positions to be known, in panel order: the plan's, and those next to them.

    A knob that slips goes to the next click. Where all of them are too many to enrol, only the
    plan's.
    """
    chosen = choose(asked.spec, asked.controls)
    assert isinstance(chosen, Chosen)  # the plan was checked
    plain: dict[str, Sequence[Value]] = {}
    wide: dict[str, Sequence[Value]] = {}
    for control in asked.controls:
        values = {chosen[index][control.name] for index in range(len(chosen))}
        used = {control.place(value) or 0.0: value for value in values}
        near = {
            float(place): control.value_at(place)
            for place in range(control.count)
            if {place - 1.0, place + 1.0} & used.keys()
        }
        plain[control.name] = [value for _, value in sorted(used.items())]
        wide[control.name] = [value for _, value in sorted((near | used).items())]
    count = 1 + sum(len(values) - 1 for values in wide.values())
    return wide if count <= MAX_ENROLMENT else plain
