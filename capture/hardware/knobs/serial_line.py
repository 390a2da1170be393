"""A serial port for a knob driver: opened exclusively, gone in words, opened again."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import serial

from capture.errors import DeviceLost, HardwareFault
from capture.hardware import serial_ports
from capture.hardware.serial_choice import SerialChoice

try:
    from termios import error as TerminalError  # noqa: N812
except ImportError:  # Windows
    TerminalError = OSError

GONE: tuple[type[Exception], ...] = (OSError, TerminalError)
"""What a port raises that was unplugged; pyserial's SerialException is an OSError."""

WRITE_S = 5.0
"""So long nothing may be taken of what is written. Less is passed by a busy machine's naps."""

REASONS = {
    errno.EAGAIN: "another program has it open, or another `capture run`; end that",
    errno.EBUSY: "another program has it open; end that",
    errno.EACCES: "you may not: join its group (`ls -l` shows it, often dialout) and log in again",
}


class SerialLine:
    """The port that ``choice`` means, with pyserial's ``options``.

    Raises HardwareFault when there is none, or it cannot be opened.
    """

    def __init__(
        self, choice: SerialChoice, write_timeout: float = WRITE_S, **options: Any
    ) -> None:
        self._choice = choice
        self._options: dict[str, Any] = {"write_timeout": write_timeout} | options
        self._port: Any = self._open()

    def _open(self) -> Any:
        name = serial_ports.find(self._choice)
        try:
            return serial.Serial(name, exclusive=True, **self._options)
        except GONE as error:
            reason = REASONS.get(getattr(error, "errno", None) or 0, str(error))
            raise HardwareFault(f"the serial port {name} cannot be opened: {reason}") from None

    @contextmanager
    def use(self) -> Generator[Any]:
        """The open port; one that was lost is looked for and opened again.

        Raises DeviceLost when it goes meanwhile, and HardwareFault when it is not back.
        """
        if self._port is None:
            self._port = self._open()
        try:
            yield self._port
        except GONE as error:
            self.close()
            hangs = isinstance(error, serial.SerialTimeoutException)
            state = "takes nothing more" if hangs else f"is gone: {error}"
            raise DeviceLost(
                f"the serial port with {self._choice} {state}. Plug it in again; where the knobs "
                "stand is not known until they are set anew"
            ) from None

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(*GONE):
                port.close()
