"""Opens the rig that a profile describes, with the drivers that it names."""

from __future__ import annotations

from collections.abc import Sequence

from capture.errors import BadInput, HardwareFault
from capture.hardware.dynamixel_facts import DynamixelFacts
from capture.hardware.gcode_facts import GcodeFacts
from capture.hardware.knobs.panel import Panel, Part
from capture.hardware.modbus_facts import ModbusFacts
from capture.hardware.ports import Audio, DriftSaid, Knobs, Operator, Rig, Turn
from capture.hardware.profile import MOTORS, RigProfile


def device_faults(profile: RigProfile) -> list[str]:
    """A sentence for everything that is wrong with the audio device; a simulated rig has none."""
    if profile.simulated:
        return []
    from capture.hardware.portaudio import devices, driver

    try:
        devices.find(driver.wanted(profile.audio))
    except HardwareFault as fault:
        return list(fault.messages)
    return []


def driver_faults(profile: RigProfile) -> list[str]:
    """A sentence for each driver of knobs whose serial port is not there."""
    from capture.hardware.serial_ports import find

    messages: list[str] = []
    for driver in MOTORS:
        if (facts := profile.facts_of(driver)) and profile.turned_by(driver):
            try:
                find(facts.port)
            except HardwareFault as fault:
                messages += fault.messages
    return messages


def open_rig(profile: RigProfile, operator: Operator | None = None) -> Rig:
    """Opens the rig. ``operator``: who turns the knobs that no motor turns; without one, nobody.

    Raises HardwareFault.
    """
    if profile.simulated:
        from capture.hardware.simulated import open_simulated

        rig = open_simulated(profile)
        rig.knobs = _panel(profile, operator, rig.knobs)
        return rig
    return Rig(lambda: _audio(profile), _panel(profile, operator, _rack(profile)))


def _audio(profile: RigProfile) -> Audio:
    from capture.hardware.portaudio.driver import PortAudioAudio

    return PortAudioAudio(profile.audio)


def _rack(profile: RigProfile) -> Knobs | None:
    """The knobs of the simulated rack, where the rig has one."""
    if profile.rack is None:
        return None
    from capture.hardware.rack.knobs import RackKnobs

    return RackKnobs(profile.rack.control_port)


def _panel(profile: RigProfile, operator: Operator | None, unit: Knobs | None) -> Knobs:
    """Motors first, then the person; a simulated unit last, told of all controls."""
    parts: list[Part] = []
    try:
        for driver in MOTORS:
            if controls := profile.turned_by(driver):
                parts.append(Part(_motors(profile, driver), [c.name for c in controls]))
        if controls := profile.turned_by("manual"):
            from capture.hardware.knobs.manual import ManualKnobs

            hand = ManualKnobs(controls, operator or Nobody())
            parts.append(Part(hand, [control.name for control in controls]))
        if unit is not None:
            parts.append(Part(unit, list(profile.controls)))
    except BaseException:
        Panel(parts).close()
        raise
    return Panel(parts)


def _motors(profile: RigProfile, driver: str) -> Knobs:
    controls, facts = profile.turned_by(driver), profile.facts_of(driver)
    match facts:
        case GcodeFacts():
            from capture.hardware.knobs.gcode.driver import GcodeKnobs

            return GcodeKnobs(facts, controls)
        case ModbusFacts():
            from capture.hardware.knobs.modbus import ModbusKnobs

            return ModbusKnobs(facts, controls)
        case DynamixelFacts():
            from capture.hardware.knobs.dynamixel import DynamixelKnobs

            return DynamixelKnobs(facts, controls)
        case None:
            raise AssertionError(driver)  # checked with the profile


class Nobody:
    """The operator of a command that asks nobody."""

    def ask(self, question: str) -> str:
        raise BadInput(f"nobody is there to answer: {question}")

    def turn(self, turns: Sequence[Turn], panel: Sequence[Turn]) -> None:
        names = ", ".join(turn.control.name for turn in turns)
        raise HardwareFault(f"nobody is there to turn {names}")

    def drifted(self, how: str) -> DriftSaid:
        return DriftSaid("stop")
