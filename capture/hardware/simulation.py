"""The simulated rig as facts: the section ``simulation:`` of a rig profile.

Levels in dBFS: noise as RMS, where 1.0 (a full-scale square wave) is 0 dBFS; hum as the peak of
its fundamental. -200 dBFS is off. Component values are those of SSL's G-type side chain as
published in obscureSignals/differential_dynamics, or whatever the profile says.

A **fault** is a mapping ``{kind: lost_frames, frames: 1, at_s: 1.0}``, or just its kind. What
stands in ``always`` holds in every recording; ``faults`` is a script: its entry *i* holds in the
*i*-th take that is recorded since the rig was opened, and after its end all is well. What a fault
means in a rack that is a process of its own: ``rack/stream.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from capture.documents import PositionValue, Strict, nearest
from capture.errors import Fault
from capture.model import Auto, Control, Value, format_value, parse_value

CONTROLS = ("threshold_db", "attack_ms", "release_s", "ratio")
"""The knobs of the simulated unit."""

OFF_DBFS = -200.0

Ohms = Annotated[float, Field(ge=1, le=1e9)]
Microfarads = Annotated[float, Field(gt=0, le=1e6)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Hertz = Annotated[float, Field(gt=0, le=1e6)]
Place = Annotated[float, Field(ge=0, le=86400)]
LatencyFrames = Annotated[int, Field(ge=32, le=200_000)]


def _panel_values(table: dict[str, float]) -> dict[str, float]:
    """Keys as ``format_value`` writes them, so that "0.10" and "0.1" are one position."""
    named = {format_value(parse_value(key)): ohm for key, ohm in table.items()}
    if len(named) < len(table):
        raise ValueError("names the same position twice")
    return named


ByPosition = Annotated[dict[str, Ohms], Field(min_length=1), AfterValidator(_panel_values)]


class AutoRelease(Strict):
    """Auto: (fast_ohm || the unit's capacitor) in series with (slow_ohm || slow_uf)."""

    fast_ohm: Ohms = 91e3
    slow_ohm: Ohms = 750e3
    slow_uf: Microfarads = 6.8


class Tolerance(Strict):
    """What this one unit's parts really are, as multiples of what is printed on them."""

    resistance: Scale = 1.0
    capacitance: Scale = 1.0
    loop_gain: Scale = 1.0


class UnitFacts(Strict):
    """The compressor. The threshold is dBFS at the converter's output, plus an offset."""

    law: Literal["log-detector", "circuit"] = "log-detector"
    knee_db: Annotated[float, Field(gt=0, le=60)] = 6.0
    threshold_offset_db: Annotated[float, Field(ge=-60, le=60)] = 0.0
    makeup_db: Annotated[float, Field(ge=-40, le=40)] = 0.0
    capacitor_uf: Microfarads = 0.47
    attack_ohm: ByPosition
    release_ohm: ByPosition
    auto: AutoRelease | None = AutoRelease()
    tolerance: Tolerance = Tolerance()

    def refusal(self, control: str, value: Value) -> str | None:
        """Why the unit's knob ``control`` cannot stand at ``value``; None if it can."""
        if control in ("attack_ms", "release_s"):
            table = self.attack_ohm if control == "attack_ms" else self.release_ohm
            known = [*table, *(["auto"] if control == "release_s" and self.auto else [])]
            if format_value(value) in known:
                return None
            return f"the simulated unit has {', '.join(known)}; give it a resistor or leave it out"
        lowest, highest = (-80.0, 40.0) if control == "threshold_db" else (1.0, 100.0)
        if isinstance(value, Auto) or not lowest <= value <= highest:
            return f"the simulated unit goes from {lowest:g} to {highest:g}"
        return None


class VcaFacts(Strict):
    """y = z + second z^2 + third z^3; the left channel is louder than the right by mismatch."""

    second: Annotated[float, Field(ge=0, le=0.1)] = 3e-5
    third: Annotated[float, Field(ge=0, le=0.1)] = 1e-4
    mismatch_db: Annotated[float, Field(ge=-6, le=6)] = 0.05


class PerInput(Strict):
    """A figure for each input."""

    left: float = 0.0
    right: float = 0.0
    cv: float = 0.0
    loopback: float = 0.0


def _everywhere(level: float) -> PerInput:
    return PerInput(left=level, right=level, cv=level, loopback=level)


def _within(low: float, high: float) -> Callable[[PerInput], PerInput]:
    def check(figures: PerInput) -> PerInput:
        if not all(low <= figure <= high for figure in figures.model_dump().values()):
            raise ValueError(f"each must be from {low:g} to {high:g}")
        return figures

    return check


Levels = Annotated[PerInput, AfterValidator(_within(OFF_DBFS, 0))]


class ConverterFacts(Strict):
    """The interface. An input's delay is ``latency_frames`` plus its own ``skew_frames``."""

    latency_frames: LatencyFrames = 987
    skew_frames: Annotated[PerInput, AfterValidator(_within(0, 64))] = PerInput()
    return_gain_db: Annotated[float, Field(ge=-60, le=60)] = 0.0
    noise_dbfs: Levels = _everywhere(OFF_DBFS)
    hum_dbfs: Levels = _everywhere(OFF_DBFS)
    mains_hz: Literal[50, 60] = 50
    dc_fs: Annotated[PerInput, AfterValidator(_within(-0.5, 0.5))] = PerInput()
    crosstalk_db: Annotated[float, Field(ge=OFF_DBFS, le=0)] = OFF_DBFS


class CvFacts(Strict):
    """volts = volts_per_db * gain_db + volts_at_0db, behind a one-pole low-pass, plus noise.

    ``gain_db`` is negative when the unit attenuates; with ``includes_makeup``, as at the control
    port of a real VCA, the make-up gain is added to it and so stands in the baseline. While the
    unit warms up the voltage grows, by ``warming_percent`` in the end, with the time constant
    ``warming_s`` (of audio).
    """

    volts_per_db: Annotated[float, Field(ge=-100, le=100)] = -0.05
    volts_at_0db: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    noise_volts_rms: Annotated[float, Field(ge=0, le=10)] = 0.0
    bandwidth_hz: Hertz = 20e3
    warming_percent: Annotated[float, Field(ge=-50, le=100)] = 0.0
    warming_s: Annotated[float, Field(gt=0, le=1e6)] = 1800.0
    includes_makeup: bool = True

    def warmth(self, seconds: float) -> float:
        """By which factor the voltage has grown so many seconds after the unit was switched on."""
        return 1 - self.warming_percent / 100 * math.expm1(-seconds / self.warming_s)


class Ok(Strict):
    """Nothing is wrong."""

    kind: Literal["ok"] = "ok"


class Swap(Strict):
    """The returns are exchanged: left arrives at right."""

    kind: Literal["swap"] = "swap"


class Invert(Strict):
    """Inputs of inverted polarity."""

    kind: Literal["invert"] = "invert"
    channels: list[Literal["left", "right", "cv"]] = ["left", "right"]


class Dead(Strict):
    """Inputs whose cable is unplugged: what the converter adds is all that remains."""

    kind: Literal["dead"] = "dead"
    channels: list[Literal["left", "right", "cv"]] = ["left"]


class CvUnplugged(Strict):
    """The same as dead, of the CV input."""

    kind: Literal["cv_unplugged"] = "cv_unplugged"


class CvAc(Strict):
    """The CV input is AC-coupled. Its capacitor is charged to the CV's rest as a take begins."""

    kind: Literal["cv_ac"] = "cv_ac"
    corner_hz: Hertz = 0.1


class Drift(Strict):
    """What returns is on a slower clock: the delay grows by ``ppm`` frames in each million."""

    kind: Literal["drift"] = "drift"
    ppm: Annotated[float, Field(ge=-1000, le=1000)] = 20.0


class LostFrames(Strict):
    """``frames`` frames of all inputs vanish at ``at_s``; no flag is raised."""

    kind: Literal["lost_frames"] = "lost_frames"
    frames: Annotated[int, Field(ge=1, le=16384)] = 1
    at_s: Place = 1.0


class DoubledFrames(Strict):
    """The ``frames`` frames before ``at_s`` come twice, at all inputs; no flag is raised."""

    kind: Literal["doubled_frames"] = "doubled_frames"
    frames: Annotated[int, Field(ge=1, le=16384)] = 1
    at_s: Place = 1.0


class Gain(Strict):
    """The analog returns are louder than they should be."""

    kind: Literal["gain"] = "gain"
    gain_db: Annotated[float, Field(ge=-100, le=100)]


class CvScale(Strict):
    """The CV moves by ``percent`` more than its law says, as where a VCA has warmed up.

    1.65 % is 0.33 dB at 20 dB of reduction.
    """

    kind: Literal["cv_scale"] = "cv_scale"
    percent: Annotated[float, Field(ge=-90, le=900)] = 1.65


class CvClip(Strict):
    """What feeds the CV input cannot go above ``high_v`` nor below ``low_v``."""

    kind: Literal["cv_clip"] = "cv_clip"
    high_v: Annotated[float, Field(ge=-1000, le=1000)] = 0.4
    low_v: Annotated[float, Field(ge=-1000, le=1000)] = -1000.0


class Hum(Strict):
    """Hum on inputs, on top of what the converters have. The level is the fundamental's peak."""

    kind: Literal["hum"] = "hum"
    level_dbfs: Annotated[float, Field(ge=OFF_DBFS, le=0)] = -60.0
    channels: list[Literal["left", "right", "cv"]] = ["left", "right"]


class Burst(Strict):
    """White noise of RMS ``level_dbfs`` on inputs, from ``at_s`` on, ``for_s`` long."""

    kind: Literal["burst"] = "burst"
    level_dbfs: Annotated[float, Field(ge=OFF_DBFS, le=0)] = -50.0
    at_s: Place = 1.0
    for_s: Annotated[float, Field(gt=0, le=3600)] = 0.1
    channels: list[Literal["left", "right", "cv"]] = ["left", "right"]


class KnobMoved(Strict):
    """Somebody turns knobs at ``at_s``, to ``setting``: all four of them are named."""

    kind: Literal["knob_moved"] = "knob_moved"
    setting: dict[str, PositionValue]
    at_s: Place = 1.0

    @field_validator("setting")
    @classmethod
    def _all_knobs(cls, setting: dict[str, Value]) -> dict[str, Value]:
        if set(setting) != set(CONTROLS):
            raise ValueError(f"name all of {', '.join(CONTROLS)}")
        return setting


class Unplug(Strict):
    """The device is lost at ``at_s``, at the latest as the recording ends, until opened anew.

    ``during``: entries for takes, for warming up and for what is measured are scripts of their own.
    """

    kind: Literal["unplug"] = "unplug"
    at_s: Place = 0.5
    during: Literal["take", "warm_up", "law", "fingerprint"] = "take"


class Overflow(Strict):
    """The stream reports input_overflow. Nothing else happens."""

    kind: Literal["overflow"] = "overflow"


class KnobFault(Strict):
    """The knob driver fails when told to turn for this take; the entry is then used up."""

    kind: Literal["knob"] = "knob"


class KnobSlips(Strict):
    """Told to turn for this take, the knob goes to ``actual``; the entry is then used up."""

    kind: Literal["knob_slips"] = "knob_slips"
    control: str
    actual: PositionValue


class Freeze(Strict):
    """A rack of its own stops answering at ``at_s``, and the stream goes on without it."""

    kind: Literal["freeze"] = "freeze"
    at_s: Place = 1.0
    for_ms: Annotated[float, Field(gt=0, le=60_000)] = 500.0


class Vanish(Strict):
    """A rack of its own is gone at ``at_s``, and comes back, perhaps under another latency."""

    kind: Literal["vanish"] = "vanish"
    at_s: Place = 1.0
    for_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    latency_frames: LatencyFrames | None = None


AnyFault = (
    Ok | Swap | Invert | Dead | CvUnplugged | CvAc | Drift | LostFrames | DoubledFrames
    | Gain | CvScale | CvClip | Hum | Burst | KnobMoved
    | Unplug | Overflow | KnobFault | KnobSlips | Freeze | Vanish
)  # fmt: skip
KINDS: dict[str, type[AnyFault]] = {
    str(kind.model_fields["kind"].default): kind for kind in AnyFault.__args__
}


def parse_fault(data: Any) -> AnyFault:
    """A word or a mapping as the fault that it names. Raises ValueError."""
    if isinstance(data, AnyFault):
        return data
    given: dict[str, Any] = (
        cast(dict[str, Any], data) if isinstance(data, dict) else {"kind": str(data)}
    )
    name = str(given.get("kind"))
    if name not in KINDS:
        raise ValueError(f"there is no fault '{name}'{nearest(name, KINDS)}")
    kind = KINDS[name]
    for key in given:
        if key not in kind.model_fields:
            raise ValueError(f"'{key}' is unknown for {name}{nearest(key, kind.model_fields)}")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{name}: {'; '.join(reasons)}") from None


Script = list[Annotated[AnyFault, BeforeValidator(parse_fault)]]


class WrongKnob(Strict):
    """The knob ``control``, when set to ``position``, really stands at ``actual``."""

    control: str
    position: PositionValue
    actual: PositionValue


class Simulation(Strict):
    """All that the simulated rig is."""

    seed: Annotated[int, Field(ge=0, le=2**63)] = 1
    unit: UnitFacts
    vca: VcaFacts = VcaFacts()
    converters: ConverterFacts = ConverterFacts()
    cv: CvFacts = CvFacts()
    always: Script = []
    faults: Script = []
    wrong_knobs: list[WrongKnob] = []

    @model_validator(mode="after")
    def _knobs_exist(self) -> Simulation:
        for knob in self.wrong_knobs:
            if knob.control not in CONTROLS:
                unknown = f"wrong_knobs: there is no control '{knob.control}'"
                raise ValueError(unknown + nearest(knob.control, CONTROLS))
            for value in (knob.position, knob.actual):
                if reason := self.unit.refusal(knob.control, value):
                    raise ValueError(f"wrong_knobs: {knob.control} {format_value(value)}: {reason}")
        for fault in (*self.always, *self.faults):
            moved = fault.setting if isinstance(fault, KnobMoved) else {}
            for control, value in moved.items():
                if reason := self.unit.refusal(control, value):
                    raise ValueError(f"knob_moved: {control} {format_value(value)}: {reason}")
        return self

    def misplaced(self, *, own_process: bool) -> list[Fault]:
        """The scripted faults that a rack can only have in a process of its own, or only outside of
        one."""
        found: list[Fault] = []
        for where in ("always", "faults"):
            for index, fault in enumerate(getattr(self, where)):
                message = None
                if isinstance(fault, (Freeze, Vanish)) and not own_process:
                    message = f"only a rack of its own can {fault.kind}: see `capture rack`, or "
                elif isinstance(fault, Unplug) and fault.during != "take" and own_process:
                    message = "a rack of its own does not know what it is played but takes: "
                if message:
                    path = ("simulation", where, index)
                    found.append(Fault(path, message + "leave it out"))
        return found

    def faults_of(self, name: str, control: Control) -> list[Fault]:
        """The positions of ``control`` that the simulated unit cannot realise."""
        path = ("controls", name)
        if name not in CONTROLS:
            return [Fault(path, f"the simulated unit has no such knob{nearest(name, CONTROLS)}")]
        if control.stepped:
            values = {("positions", i): p.value for i, p in enumerate(control.positions)}
        elif name in ("attack_ms", "release_s"):
            message = "the simulated unit's knob is stepped; give positions instead of a range"
            return [Fault(path, message)]
        else:
            values = {("range", i): v for i, v in enumerate((control.minimum, control.maximum))}
        return [
            Fault((*path, *place), f"{format_value(value)}: {reason}")
            for place, value in values.items()
            if (reason := self.unit.refusal(name, value))
        ]
