"""Knobs turned by Dynamixel servos, by ROBOTIS' dynamixel-sdk: protocol 2.0.

Addresses, errors and their bits: ROBOTIS e-Manual, X series control table, and Protocol 2.0.

What stays unanswered is sent again, twice at most. That is harmless: reading changes nothing, and
a goal says where to stand, not how far to move; told twice it is as told once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from dynamixel_sdk import COMM_SUCCESS, PortHandler, Protocol2PacketHandler

from capture.errors import HardwareFault
from capture.hardware.dynamixel_facts import DynamixelFacts, ServoFacts, degrees, ticks
from capture.hardware.knobs.read_back import ReadBackKnobs, Reading
from capture.hardware.knobs.serial_line import SerialLine
from capture.model import Control

AGAIN = 2
WAIT_S = 0.005  # of one look at the port, several of which make up a servo's time to answer

TORQUE, HARDWARE_ERROR, GOAL_POSITION, PRESENT_POSITION = (64, 1), (70, 1), (116, 4), (132, 4)
"""Address and length in bytes."""

ALERT = 0x80
ERRORS = {
    1: "it failed to do it",
    2: "it knows no such instruction",
    3: "what it received was damaged",
    4: "the value is out of range",
    5: "the value is of another length",
    6: "the value is beyond its limits: are the position limits, and position control, set in it?",
    7: "that may not be written, or read, now",
}
HARDWARE_ERRORS = {
    0: "input voltage out of range",
    2: "too hot",
    3: "motor encoder broken",
    4: "electrical shock, or too little power",
    5: "overload: is the knob blocked?",
}


class _Port(PortHandler):
    """The SDK's port on one that was opened here. It waits for bytes, instead of in circles."""

    def __init__(self, port: Any, answer_s: float) -> None:
        super().__init__(port.name)
        self.ser, self._answer_s = port, answer_s
        self.heard = b""

    def clearPort(self) -> None:  # noqa: N802
        self.heard = b""
        self.ser.read(self.ser.in_waiting)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        data: bytes = self.ser.read(length)
        self.heard += data
        return data

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        self.packet_start_time, self.packet_timeout = self.getCurrentTime(), 1000 * self._answer_s


class _Bus:
    """One instruction at a time, and in words what came of it."""

    def __init__(self, facts: DynamixelFacts) -> None:
        self._facts = facts
        self._serial = SerialLine(facts.port, baudrate=facts.baud, timeout=WAIT_S)
        self._sdk: Any = Protocol2PacketHandler()

    def close(self) -> None:
        self._serial.close()

    def read(self, servo: int, what: tuple[int, int]) -> int:
        """What is at an address. Raises HardwareFault, DeviceLost."""
        data, error = self._read(servo, what)
        self._judge(servo, error)
        return int.from_bytes(data, "little", signed=True)

    def write(self, servo: int, what: tuple[int, int], value: int) -> None:
        """Writes to an address. Raises HardwareFault, DeviceLost."""
        address, length = what
        data = list(value.to_bytes(length, "little", signed=True))
        _, error = self._ask(
            servo, 0, lambda port: ([], *self._sdk.writeTxRx(port, servo, address, length, data))
        )
        self._judge(servo, error)

    def _read(self, servo: int, what: tuple[int, int]) -> tuple[bytes, int]:
        address, length = what
        return self._ask(
            servo, length, lambda port: self._sdk.readTxRx(port, servo, address, length)
        )

    def _ask(
        self, servo: int, length: int, exchange: Callable[[_Port], tuple[list[int], int, int]]
    ) -> tuple[bytes, int]:
        """The ``length`` bytes that ``servo`` answers, fewer with an error; and that error."""
        heard = b""
        with self._serial.use() as serial_port:
            port = _Port(serial_port, self._facts.answer_s)
            for attempt in range(AGAIN + 1):
                data, result, error = exchange(port)
                heard += port.heard
                if result == COMM_SUCCESS and (len(data) == length or error):
                    if attempt:  # the answers to all before may still be under way
                        time.sleep(self._facts.answer_s)
                    return bytes(data), error
        if heard:
            raise HardwareFault(
                f"servo {servo} was asked {AGAIN + 1} times and gives no answer but "
                f"{heard[:64].hex(' ')}: is it set to {self._facts.baud} baud and protocol 2.0, "
                f"is there one servo {servo} only?"
            )
        raise HardwareFault(
            f"servo {servo} does not answer, asked {AGAIN + 1} times: has it power, is it wired, "
            f"and set to id {servo}, {self._facts.baud} baud and protocol 2.0?"
        )

    def _judge(self, servo: int, error: int) -> None:
        if error & ALERT:
            status, _ = self._read(servo, HARDWARE_ERROR)
            bits = [bit for bit in range(8) if status and status[0] >> bit & 1]
            words = [HARDWARE_ERRORS.get(bit, f"error bit {bit}") for bit in bits]
            raise HardwareFault(
                f"servo {servo} reports a fault of its own and may have let go: "
                f"{', '.join(words) or 'none by now'}. See to it, then switch it off and on"
            )
        if error:
            words = ERRORS.get(error, "the protocol knows no such error")
            raise HardwareFault(f"servo {servo} refuses: error {error}, {words}")


class _Servo:
    """A servo with an angle for each position. It holds it, until its power is switched off."""

    def __init__(self, bus: _Bus, facts: ServoFacts) -> None:
        self._bus, self._facts = bus, facts
        self.name = f"servo {facts.id}"
        self.within_s = facts.within_s

    def expected(self, index: int) -> str:
        return f"{self._facts.at_deg[index]:.1f} degrees"

    def turn(self, index: int) -> None:
        self._bus.write(self._facts.id, TORQUE, 1)
        self._bus.write(self._facts.id, GOAL_POSITION, ticks(self._facts.at_deg[index]))

    def read(self) -> Reading:
        angle_deg = degrees(self._bus.read(self._facts.id, PRESENT_POSITION))
        return Reading(self._facts.index(angle_deg), f"{angle_deg:.1f} degrees")


class DynamixelKnobs(ReadBackKnobs):
    """The rig's ``controls`` with the driver dynamixel. Raises HardwareFault."""

    def __init__(self, facts: DynamixelFacts, controls: Sequence[Control]) -> None:
        self._bus = _Bus(facts)
        turners = {name: _Servo(self._bus, servo) for name, servo in facts.servos.items()}
        super().__init__(controls, turners, settle_s=0.0)

    def close(self) -> None:
        self._bus.close()
