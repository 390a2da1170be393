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
from capture.hardware.profile import RigProfile
from capture.model import Setting, Value
from capture.plan.settings import Chosen, choose
from capture.records import AnchorRecord, CalibrationRecord, EnrolmentRecord, LawRecord
from capture.run import anchors, events, levels, session
from capture.run.asked import Asked
from capture.run.bench import Bench
from capture.run.fingerprints import Fingerprints
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from capture.signal.fingerprint.greybox import MAX_ENROLMENT


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was found.

    ``anchors``: those that hold, measured or the rig profile's. ``disagreements``: a sentence for
    each that was measured and that the profile contradicts.
    """

    latency: CalibrationRecord
    law: LawRecord
    anchors: tuple[AnchorRecord, ...]
    disagreements: tuple[str, ...]
    withdrawn: int
    enrolment: EnrolmentRecord | None

    @property
    def differences(self) -> list[str]:
        """A sentence for each gain of the plan that is not what was measured."""
        return [one.reason for one in self.law.levels if one.verdict == "differs"]


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

    With an ``operator`` at a voltmeter the level anchors as well, before the law, which is judged
    by them; ``enrol``: what the unit shows. Raises BadInput, HardwareFault, DamagedData,
    StorageRefused.
    """
    profile = asked.profile
    assert profile.calibration is not None  # required before
    session.settle_in(asked, folder, ledger, observe)
    rig = open_rig()
    with closing(rig):
        bench = Bench(rig, profile, folder.root, ledger, observe, stop)
        bench.warm_up()
        if operator:
            # Where the law is measured a tone moves the CV.
            bench.must_turn(Setting(profile.calibration.setting))
            for anchor in anchors.measure(bench.audio, operator, dc_cv=profile.cv.coupling == "dc"):
                ledger.add_anchors([anchor])
        void = Laws(folder, ledger, profile, observe).measure(bench, temperature_c)
        law = bench.law
        assert law is not None  # just measured
        enrolment = None
        if enrol:
            proofs = Fingerprints(folder, ledger, profile, observe, stop)
            enrolment = proofs.enrol(bench, _positions(asked))
    manifest.write(folder.root, manifest.of_ledger(ledger, asked.controls))
    known = ledger.anchors()
    return Calibrated(
        latency=bench.calibration,
        law=law,
        anchors=tuple(levels.in_force(known).values()),
        disagreements=tuple(levels.disagreements(profile, known)),
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
