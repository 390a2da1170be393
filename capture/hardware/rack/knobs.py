"""The port Knobs, for the knobs of a rack in a process of its own."""

from __future__ import annotations

from capture.errors import HardwareFault
from capture.hardware.ports import Proof
from capture.hardware.rack.control import DEADLINE_S, ask
from capture.model import AUTO, Setting


class RackKnobs:
    """Turns the knobs of the rack that listens on ``port`` of this machine.

    Every turn is a connection of its own, so a rack that was started again is found again.
    """

    def __init__(self, port: int, deadline_s: float = DEADLINE_S) -> None:
        self._port = port
        self._deadline_s = deadline_s
        self._closed = False

    def set(self, setting: Setting) -> Proof:
        if self._closed:
            raise HardwareFault("the rack's knobs are closed; open the rig again")
        values = {name: "auto" if value is AUTO else value for name, value in setting.items()}
        ask(self._port, {"do": "set", "setting": values}, self._deadline_s)
        return Proof("acknowledged")

    def verify(self, setting: Setting) -> Proof:
        """The rack says where its knobs were set to, and no more."""
        return Proof("acknowledged")

    def forget(self) -> None:
        """Every turn begins with where they stand."""

    def close(self) -> None:
        self._closed = True
