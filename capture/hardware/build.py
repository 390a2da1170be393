"""Opens the rig that a profile describes, with the drivers that it names."""

from __future__ import annotations

from capture.errors import HardwareFault
from capture.hardware.ports import Audio, Knobs, Rig
from capture.hardware.profile import RigProfile


def missing_drivers(profile: RigProfile) -> list[str]:
    """A sentence for each driver that the profile names and this version does not have."""
    manual = [name for name, control in profile.controls.items() if control.driver == "manual"]
    if not manual:
        return []
    return [
        f"rig {profile.name}: the driver 'manual' ({', '.join(manual)}) is not in this version of "
        "capture; the rig can be planned for, not run (try --rig simulated)"
    ]


def require_drivers(profile: RigProfile) -> None:
    """Raises HardwareFault for all missing drivers at once."""
    missing = missing_drivers(profile)
    if missing:
        raise HardwareFault(*missing)


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


def open_rig(profile: RigProfile) -> Rig:
    """Opens the rig. Raises HardwareFault."""
    require_drivers(profile)
    if profile.simulated:
        from capture.hardware.simulated import open_simulated

        return open_simulated(profile)
    return Rig(lambda: _audio(profile), _knobs(profile))


def _audio(profile: RigProfile) -> Audio:
    from capture.hardware.portaudio.driver import PortAudioAudio

    return PortAudioAudio(profile.audio)


def _knobs(profile: RigProfile) -> Knobs:
    """The knobs beside a real interface: those of the simulated rack (checked: it has some)."""
    from capture.hardware.rack.knobs import RackKnobs

    assert profile.rack is not None  # checked with the profile
    return RackKnobs(profile.rack.control_port)
