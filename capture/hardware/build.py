"""Opens the rig that a profile describes, with the drivers that it names."""

from __future__ import annotations

from capture.errors import HardwareFault
from capture.hardware.ports import Rig
from capture.hardware.profile import RigProfile


def missing_drivers(profile: RigProfile) -> list[str]:
    """A sentence for each driver that the profile names and this version does not have."""
    users: dict[str, list[str]] = {profile.audio.driver: ["audio"]}
    for name, control in profile.controls.items():
        users.setdefault(control.driver, []).append(name)
    return [
        f"rig {profile.name}: the driver '{driver}' ({', '.join(names)}) is not in this version of "
        "capture; the rig can be planned for, not run (try --rig simulated)"
        for driver, names in users.items()
        if driver != "simulated"
    ]


def require_drivers(profile: RigProfile) -> None:
    """Raises HardwareFault for all missing drivers at once."""
    missing = missing_drivers(profile)
    if missing:
        raise HardwareFault(*missing)


def open_rig(profile: RigProfile) -> Rig:
    """Opens the rig. Raises HardwareFault."""
    require_drivers(profile)
    from capture.hardware.simulated import open_simulated

    return open_simulated(profile)
