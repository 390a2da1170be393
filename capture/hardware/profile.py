"""The rig profile: the hardware as facts, read from YAML. Touches no hardware.

Levels are dBFS of a sine's peak. Channel numbers count from 1, as on the panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator

from capture.documents import PositionValue, SchemaVersion, Strict, nearest
from capture.errors import DocumentFaults, Fault
from capture.hardware.dynamixel_facts import DynamixelFacts
from capture.hardware.gcode_facts import GcodeFacts
from capture.hardware.modbus_facts import ModbusFacts
from capture.hardware.simulation import Simulation
from capture.model import Control, Position, Value, base_name, format_value

Channel = Annotated[int, Field(ge=1, le=1024)]
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class Device(Strict):
    """What identifies the interface: its name, host API and channel counts. Never an index."""

    name: str
    host_api: str | None = None
    inputs: Channel
    outputs: Channel


class Outputs(Strict):
    left: Channel
    right: Channel


class Inputs(Strict):
    left: Channel
    right: Channel
    cv: Channel
    loopback: Channel | None = None


class Anchors(Strict):
    """What 0 dBFS is in dBu, by channel name; null where nobody has measured it."""

    outputs: dict[Literal["left", "right"], float | None] = {}
    inputs: dict[Literal["left", "right", "cv", "loopback"], float | None] = {}


class AudioProfile(Strict):
    """The interface. ``block_frames`` is the device's buffer, where the host API lets one choose.

    ``freewheel``: a JACK server runs as fast as it can, which only simulated hardware can follow.
    ``reopen_after_s`` of audio the stream is opened anew, between takes; a device that is lost is
    waited for ``wait_for_device_s``.
    """

    driver: Literal["simulated", "portaudio"]
    device: Device | None = None
    sample_rate_hz: Annotated[int, Field(ge=8000, le=384000)]
    block_frames: Annotated[int, Field(ge=16, le=65536)] = 4096
    freewheel: bool = False
    reopen_after_s: Annotated[float, Field(gt=0, le=3600)] = 3600.0
    wait_for_device_s: Annotated[float, Field(ge=0, le=86400)] = 600.0
    outputs: Outputs
    inputs: Inputs
    dbfs_to_dbu: Anchors = Anchors()

    @model_validator(mode="after")
    def _consistent(self) -> AudioProfile:
        jack = self.device is not None and (self.device.host_api or "").startswith("JACK")
        if self.freewheel and not jack:
            raise ValueError("freewheel is JACK's: write a device.host_api that begins with JACK")
        if self.driver == "portaudio" and self.device is None:
            raise ValueError("device is missing: the portaudio driver needs name, inputs, outputs")
        numbers = [n for n in self.inputs.model_dump().values() if n is not None]
        if len(set(numbers)) < len(numbers) or self.outputs.left == self.outputs.right:
            raise ValueError("two channels have the same number; give each its own")
        return self


class CvProfile(Strict):
    """The control voltage: what full scale is in volts, and the law that the unit should show.

    Expected: ``volts = expected_volts_per_db * gain_db + expected_volts_at_0db``, gain negative
    when the unit attenuates.
    """

    volts_per_fs: Annotated[float, Field(gt=0, le=1000)]
    expected_volts_per_db: Annotated[float, Field(ge=-100, le=100)]
    expected_volts_at_0db: float = 0.0
    coupling: Literal["dc", "ac"] = "dc"

    @field_validator("expected_volts_per_db")
    @classmethod
    def _slope(cls, value: float) -> float:
        if value == 0:
            raise ValueError("a slope of 0 V/dB cannot be turned into gain; give slope and sign")
        return value


MOTORS = ("gcode", "modbus", "dynamixel")
"""Drivers that turn knobs by motor; each has a section of its name."""


def _position(data: object) -> object:
    return cast(object, data) if isinstance(data, dict) else {"value": data}


class PositionProfile(Strict):
    """A position: a bare value, or ``{value, label, settle_s}``."""

    value: PositionValue
    label: str | None = None
    settle_s: Seconds = 0.0


class ControlProfile(Strict):
    """A knob or switch: ``positions`` in panel order, or ``range`` with a ``step``."""

    unit: str
    driver: Literal["simulated", "manual", "gcode", "modbus", "dynamixel"]
    positions: list[Annotated[PositionProfile, BeforeValidator(_position)]] | None = None
    range: tuple[Bound, Bound] | None = None
    step: Annotated[float, Field(gt=0)] | None = None
    turn_s: Seconds = 0.0
    step_s: Seconds = 0.0

    @model_validator(mode="after")
    def _one_kind(self) -> ControlProfile:
        if (self.positions is None) == (self.range is None):
            raise ValueError("give either positions (stepped) or range (continuous)")
        if self.positions is not None:
            values = [position.value for position in self.positions]
            if not values or len(set(values)) < len(values):
                raise ValueError("positions must be a list of different values, at least one")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} must go from low to high")
        if self.step is not None and self.range is None:
            raise ValueError("step belongs to a range; positions are steps already")
        return self


class Settle(Strict):
    """Silence, in seconds, for the unit to come to rest: after opening, and before each take.

    ``warm_up_s``: noise is played for so long before the law is measured, and after each loss.
    """

    after_open_s: Seconds = 0.5
    between_takes_s: Seconds = 6.0
    warm_up_s: Annotated[float, Field(ge=0, le=86400)] = 0.0


class CalibrationProfile(Strict):
    """The CV's law is measured at ``setting``: where the unit compresses most, and lets go soon.

    It holds for ``valid_hours`` and ``valid_takes``, whichever ends first. Two laws, before and
    after takes, may differ by ``drift_limit_db`` within their range; else those takes are void.
    ``fingerprint``: every setting is probed before its takes.
    """

    setting: dict[str, PositionValue]
    valid_hours: Annotated[float, Field(gt=0, le=10_000)] = 24.0
    valid_takes: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    drift_limit_db: Annotated[float, Field(gt=0, le=20)] = 0.05
    fingerprint: bool = True

    def faults(self, controls: Sequence[Control]) -> list[Fault]:
        """Where ``setting`` is none of the rig's."""
        path = ("calibration", "setting")
        known = {control.name: control for control in controls}
        found = [
            Fault((*path, name), f"there is no control '{name}'{nearest(name, known)}")
            for name in self.setting
            if name not in known
        ]
        for name, control in known.items():
            if name not in self.setting:
                found.append(Fault(path, f"says nothing of {name}; give its position"))
            elif control.place(self.setting[name]) is None:
                value = format_value(self.setting[name])
                message = f"{value} is no position of {name}; it has {control.allowed}"
                found.append(Fault((*path, name), message))
        return found


class RackFacts(Strict):
    """Where the simulated rack is, when it is a process of its own: see `capture rack`.

    ``client``: its name on the JACK server; ``control_port``: of its knobs, on 127.0.0.1.
    """

    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=32)] = "rack"
    control_port: Annotated[int, Field(ge=1024, le=65535)]


class RigProfile(Strict):
    """A rig: one YAML file in ``rigs/`` or of the user's.

    ``wait_for_room_s``: how long a session waits for room on a disk that is full.
    """

    schema_version: SchemaVersion
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    audio: AudioProfile
    cv: CvProfile
    controls: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ControlProfile]
    settle: Settle = Settle()
    wait_for_room_s: Annotated[float, Field(ge=0, le=1_000_000)] = 86400.0
    calibration: CalibrationProfile | None = None
    simulation: Simulation | None = None
    rack: RackFacts | None = None
    gcode: GcodeFacts | None = None
    modbus: ModbusFacts | None = None
    dynamixel: DynamixelFacts | None = None

    @property
    def simulated(self) -> bool:
        return self.audio.driver == "simulated"

    @property
    def control_values(self) -> tuple[Control, ...]:
        """The controls as the planner knows them, in the profile's order."""
        return tuple(_control(name, profile) for name, profile in self.controls.items())

    def turned_by(self, driver: str) -> list[Control]:
        """The controls that a driver turns, in the profile's order."""
        return [
            control
            for control in self.control_values
            if self.controls[control.name].driver == driver
        ]

    def settle_s(self, setting: Mapping[str, Value]) -> float:
        """The silence that is needed before anything is measured at ``setting``."""
        needed = (control.settle_s(setting[control.name]) for control in self.control_values)
        return max(self.settle.between_takes_s, *needed)

    def at_rate(self, sample_rate_hz: int) -> RigProfile:
        """The same rig, run at a plan's sample rate."""
        audio = self.audio.model_copy(update={"sample_rate_hz": sample_rate_hz})
        return self.model_copy(update={"audio": audio})

    def check(self) -> None:
        """Faults between parts of the profile. Raises DocumentFaults."""
        faults: list[Fault] = []
        if not self.controls:
            faults.append(Fault(("controls",), "is empty: name at least one control"))
        if self.simulated and self.simulation is None:
            faults.append(Fault(("audio", "driver"), "simulated needs a section simulation"))
        if self.simulation is not None:
            faults += self.simulation.misplaced(own_process=not self.simulated)
        faults += self._without_rack() + self._motors()
        if self.calibration:
            faults += self.calibration.faults(self.control_values)
        for name, profile in self.controls.items():
            clash = [n for n in self.controls if n != name and base_name(n) == base_name(name)]
            if clash:
                message = f"differs from {clash[0]} in its unit only; give it another name"
                faults.append(Fault(("controls", name), message))
            if self.simulation and (self.simulated or profile.driver == "simulated"):
                faults += self.simulation.faults_of(name, _control(name, profile))
        if faults:
            raise DocumentFaults(faults)

    def _motors(self) -> list[Fault]:
        """Where a driver's section does not fit the controls that it turns."""
        found: list[Fault] = []
        for driver in MOTORS:
            facts, controls = self.facts_of(driver), self.turned_by(driver)
            if facts is not None:
                found += facts.faults(controls)
            elif controls:
                message = f"{driver} needs a section {driver}"
                found.append(Fault(("controls", controls[0].name, "driver"), message))
        return found

    def facts_of(self, driver: str) -> GcodeFacts | ModbusFacts | DynamixelFacts | None:
        """The section of a driver that has one of its name."""
        return {"gcode": self.gcode, "modbus": self.modbus, "dynamixel": self.dynamixel}[driver]

    def _without_rack(self) -> list[Fault]:
        """Simulated knobs beside a real interface are those of a rack of its own."""
        knobs = [name for name, profile in self.controls.items() if profile.driver == "simulated"]
        if self.audio.driver != "portaudio" or not knobs:
            return []
        return [
            Fault(
                ("controls", knobs[0], "driver"),
                f"simulated beside the audio driver portaudio needs a section {section}",
            )
            for section in ("rack", "simulation")
            if getattr(self, section) is None
        ]


def _control(name: str, profile: ControlProfile) -> Control:
    if profile.positions is None:
        assert profile.range is not None  # validated: one of the two is given
        low, high = profile.range
        return Control(
            name, profile.unit, (), low, high, profile.step or 0.0, profile.turn_s, profile.step_s
        )
    positions = tuple(
        Position(p.label or format_value(p.value), p.value, p.settle_s) for p in profile.positions
    )
    return Control(name, profile.unit, positions, turn_s=profile.turn_s, step_s=profile.step_s)
