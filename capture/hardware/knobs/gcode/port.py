"""The serial port, thinly: bytes, a clock, and what goes wrong in words."""

from __future__ import annotations

import time
from typing import Protocol

import serial

from capture.errors import HardwareFault
from capture.hardware.knobs.serial_line import SerialLine
from capture.hardware.serial_choice import SerialChoice

TICK_S = 0.05
WRITE_S = 5.0


class Port(Protocol):
    """Where the controller is. Everything but ``now_s`` raises HardwareFault when it is gone."""

    def read(self, wait: bool) -> bytes:
        """All that has come. If nothing has: waits, ``TICK_S`` at most, or is empty at once."""
        ...

    def write(self, data: bytes) -> None: ...

    def now_s(self) -> float:
        """Of a clock that only goes forward."""
        ...

    def close(self) -> None: ...


class SerialPort:
    """A port of this machine, opened exclusively. Raises HardwareFault if it cannot be."""

    def __init__(self, choice: SerialChoice, baud: int, write_s: float = WRITE_S) -> None:
        self._line = SerialLine(choice, baudrate=baud, timeout=TICK_S, write_timeout=write_s)

    def read(self, wait: bool) -> bytes:
        with self._line.use() as port:
            data: bytes = port.read(1) if wait else b""
            return data + port.read(port.in_waiting)

    def write(self, data: bytes) -> None:
        with self._line.use() as port:
            try:
                port.write(data)
            except serial.SerialTimeoutException:
                raise HardwareFault("the controller takes no more: it hangs; reset it") from None

    def now_s(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        self._line.close()
