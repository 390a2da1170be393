"""Levels: which anchors hold, and whether the gains of the plan are what was measured.

**Anchors.** What was measured with a voltmeter holds; where nothing was, what the rig profile says.
Both are in the ledger, each with its origin. Where the two disagree it is said, with the line of
the profile to change: the profile goes with the dataset.

**Send.** The loud probe (``loud``) is played as songs are, with the plan's ``send_gain_db``. What
the loopback records of it, less what lies between the two anchors (output left, input loopback), is
the send gain as it leaves the interface: a fader in a mixer or a level switch shows. Where neither
anchor is known, both full scales are taken to be alike. Without a loopback nothing can be said.

**Returns.** The static gain that the law found, of either channel, against ``return_gain_db``. The
unit's own gain and its make-up are in it, so it may rightly be another one: it is recorded in every
take's row and said, and no run ends for it. A send that contradicts known anchors ends the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from capture.hardware.profile import RigProfile
from capture.plan.spec import LevelSpec
from capture.records import AnchorRecord, LawRecord, LevelCheck, utc_now

LIMIT_DB = 0.1
SIGMAS = 3.0
"""A gain that is not known to a third of the limit verifies nothing."""
CV_SHARE = 0.01
"""How far the volts at the CV's full scale may be off: 1 % is what a voltmeter is good to."""
PROFILE = "rig profile"

Place = tuple[str, str]
"""Direction (output, input) and channel."""


def of_profile(profile: RigProfile) -> list[AnchorRecord]:
    """What the rig profile says of full scale, as records."""
    stated = profile.audio.dbfs_to_dbu
    groups = (("output", stated.outputs), ("input", stated.inputs))
    found = [
        _stated(profile, "output" if direction == "output" else "input", channel, dbu, None)
        for direction, group in groups
        for channel, dbu in group.items()
        if dbu is not None
    ]
    return [*found, _stated(profile, "input", "cv", None, profile.cv.volts_per_fs)]


def _stated(
    profile: RigProfile,
    direction: Literal["output", "input"],
    channel: str,
    dbu: float | None,
    volts_per_fs: float | None,
) -> AnchorRecord:
    return AnchorRecord(
        direction, channel, dbu, volts_per_fs, None, None, profile.name, utc_now(), PROFILE
    )


def new_of_profile(profile: RigProfile, known: Sequence[AnchorRecord]) -> list[AnchorRecord]:
    """What the profile says and the ledger does not know yet."""
    said = {_place(one): _figure(one) for one in known if not one.measured}
    return [one for one in of_profile(profile) if said.get(_place(one)) != _figure(one)]


def in_force(known: Sequence[AnchorRecord]) -> dict[Place, AnchorRecord]:
    """The anchor that holds at each place: the last one measured, or else the profile's."""
    stated = {_place(one): one for one in known if not one.measured}
    return stated | {_place(one): one for one in known if one.measured}


def disagreements(profile: RigProfile, known: Sequence[AnchorRecord]) -> list[str]:
    """A sentence for each measured anchor that the rig profile contradicts."""
    stated = {_place(one): one for one in of_profile(profile)}
    measured = (one for one in in_force(known).values() if one.measured)
    return [
        sentence
        for one in measured
        if (there := stated.get(_place(one))) and (sentence := _disagreement(one, there))
    ]


def _disagreement(measured: AnchorRecord, stated: AnchorRecord) -> str | None:
    found, said = _figure(measured), _figure(stated)
    audio = measured.dbu is not None
    if abs(found - said) <= (LIMIT_DB if audio else CV_SHARE * said):
        return None
    unit, figure = ("dBu", f"{found:.2f}") if audio else ("V", f"{found:.4g}")
    line = (
        f"audio.dbfs_to_dbu.{measured.direction}s.{measured.channel}: {figure}"
        if audio
        else f"cv.volts_per_fs: {figure}"
    )
    return (
        f"anchor {measured.direction} {measured.channel}: {figure} {unit} at full scale was "
        f"measured ({measured.measured_by}, {measured.measured_at}), the rig profile says "
        f"{said:g} {unit}; write {line} into it, or measure again"
    )


def _place(anchor: AnchorRecord) -> Place:
    return anchor.direction, anchor.channel


def _figure(anchor: AnchorRecord) -> float:
    figure = anchor.volts_per_fs if anchor.dbu is None else anchor.dbu
    assert figure is not None  # it has one of the two
    return figure


# The gains of the plan ----------------------------------------------------------------------------


def check(
    law: LawRecord, level: LevelSpec, known: Sequence[AnchorRecord]
) -> tuple[LevelCheck, ...]:
    """The gains of the plan against what was measured with a law."""
    anchors = in_force(known)
    return (
        _send(law, level.send_gain_db, anchors),
        _return(law, "left", level.return_gain_db, anchors),
        _return(law, "right", level.return_gain_db, anchors),
    )


def verdict(checks: Sequence[LevelCheck], *names: str) -> str | None:
    """The worst verdict of those named; None where nothing was looked at."""
    found = {one.verdict for one in checks if one.name in names}
    return next((word for word in ("differs", "not verifiable", "verified") if word in found), None)


def refused(checks: Sequence[LevelCheck], known: Sequence[AnchorRecord]) -> list[str]:
    """Why no take may be recorded: by anchors that are known, the send is not what it is called."""
    if None in _ends(in_force(known)):
        return []
    return [one.reason for one in checks if one.name == "send" and one.verdict == "differs"]


def moved_db(before: LawRecord, after: LawRecord) -> float:
    """By how much at most the levels have moved between two laws: returns, and the loopback."""
    pairs = [
        (before.static_left_db, after.static_left_db),
        (before.static_right_db, after.static_right_db),
        (_loopback(before)[0], _loopback(after)[0]),
    ]
    return max(abs(b - a) for a, b in pairs if a is not None and b is not None)


def _send(law: LawRecord, planned_db: float, anchors: Mapping[Place, AnchorRecord]) -> LevelCheck:
    gain_db, uncertainty_db = _loopback(law)
    output, back = _ends(anchors)
    if gain_db is None or uncertainty_db is None:
        return LevelCheck(
            "send", planned_db, None, None, "not verifiable", "the rig has no loopback input"
        )
    if (output is None) != (back is None):
        missing = "outputs.left" if output is None else "inputs.loopback"
        reason = f"audio.dbfs_to_dbu.{missing} is not known: measure it (--voltmeter)"
        return LevelCheck("send", planned_db, None, uncertainty_db, "not verifiable", reason)
    between_db = output - back if output is not None and back is not None else 0.0
    by = (
        f"anchors: output left {output:.2f} dBu, input loopback {back:.2f} dBu"
        if output is not None
        else "neither full scale is known, so both are taken to be alike: --voltmeter tells"
    )
    return _judged(
        "send",
        planned_db,
        gain_db - between_db,
        uncertainty_db,
        f"the plan's send_gain_db is {planned_db:g} dB, and the loopback shows "
        f"{gain_db - between_db:+.2f} dB ({by}): see to faders and level switches between program "
        "and jack, and to the output that the loopback's cable comes from",
    )


def _return(
    law: LawRecord, side: Literal["left", "right"], planned_db: float,
    anchors: Mapping[Place, AnchorRecord],
) -> LevelCheck:  # fmt: skip
    measured_db = law.static_left_db if side == "left" else law.static_right_db
    output, back = (_dbu(anchors, place, side) for place in ("output", "input"))
    cause = "make-up, the unit's own gain, or a level on the way back"
    if output is not None and back is not None:
        wire_db = output - back
        cause = f"by the anchors a wire would make {wire_db:+.2f} dB, so the unit itself makes "
        cause += f"{measured_db - wire_db:+.2f}"
    return _judged(
        "return_left" if side == "left" else "return_right",
        planned_db,
        measured_db,
        law.static_uncertainty_db or 0.0,
        f"the plan's return_gain_db is {planned_db:g} dB, and the {side} return has "
        f"{measured_db:+.2f} dB at rest ({cause}): put make-up and levels right, or write "
        f"level.return_gain_db: {measured_db:.2f} into the plan before the first take",
    )


def _judged(
    name: Literal["send", "return_left", "return_right"],
    planned_db: float,
    measured_db: float,
    uncertainty_db: float,
    difference: str,
) -> LevelCheck:
    if SIGMAS * uncertainty_db > LIMIT_DB:
        reason = f"known to {uncertainty_db:.2g} dB only: too noisy"
        return LevelCheck(name, planned_db, measured_db, uncertainty_db, "not verifiable", reason)
    if abs(measured_db - planned_db) > LIMIT_DB:
        return LevelCheck(name, planned_db, measured_db, uncertainty_db, "differs", difference)
    reason = f"within {LIMIT_DB:g} dB"
    return LevelCheck(name, planned_db, measured_db, uncertainty_db, "verified", reason)


def _ends(anchors: Mapping[Place, AnchorRecord]) -> tuple[float | None, float | None]:
    """The anchors at both ends of the loopback's cable."""
    return _dbu(anchors, "output", "left"), _dbu(anchors, "input", "loopback")


def _dbu(anchors: Mapping[Place, AnchorRecord], direction: str, channel: str) -> float | None:
    anchor = anchors.get((direction, channel))
    return anchor.dbu if anchor else None


def _loopback(law: LawRecord) -> tuple[float | None, float | None]:
    """Its gain under the loud probe, from before the send gain; and its uncertainty."""
    heard = law.loud.delays.get("loopback") if law.loud else None
    return (heard.gain_db, heard.gain_uncertainty_db) if heard else (None, None)
