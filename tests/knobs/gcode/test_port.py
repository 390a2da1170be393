"""The serial port itself, on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import tty
from collections.abc import Generator

import pytest

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.port import SerialPort
from capture.hardware.serial_choice import SerialChoice


@pytest.fixture
def ends() -> Generator[tuple[int, SerialPort]]:
    """The far end, and the port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    port = SerialPort(SerialChoice(path=os.ttyname(slave)), 115200, write_s=0.2)
    os.close(slave)
    yield master, port
    port.close()
    with contextlib.suppress(OSError):
        os.close(master)


def test_bytes_come_and_go(ends: tuple[int, SerialPort]) -> None:
    far, port = ends
    assert port.read(wait=False) == b""
    assert port.read(wait=True) == b""
    os.write(far, b"ok\r\n\xff")
    assert port.read(wait=True) == b"ok\r\n\xff"
    port.write(b"?")
    assert os.read(far, 10) == b"?"


def test_a_controller_that_takes_nothing(ends: tuple[int, SerialPort]) -> None:
    _, port = ends
    with pytest.raises(HardwareFault, match="takes no more: it hangs"):
        port.write(b"G4 P0\n" * 20_000)


@pytest.mark.parametrize(
    "do", [lambda p: p.read(True), lambda p: p.read(False), lambda p: p.write(b"?")]
)
def test_unplugged(do, ends: tuple[int, SerialPort]) -> None:
    far, port = ends
    os.close(far)
    with pytest.raises(HardwareFault, match="is gone"):
        do(port)


def test_the_clock_goes_forward(ends: tuple[int, SerialPort]) -> None:
    _, port = ends
    before = port.now_s()
    port.read(wait=True)
    assert port.now_s() > before
