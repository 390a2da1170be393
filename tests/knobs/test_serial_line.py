"""A knob driver's serial port: what it says when it is taken, gone, stuck, or never was one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.knobs.serial_line import SerialLine
from capture.hardware.serial_choice import SerialChoice
from tests.knobs.script import link, played


def exchange(line: SerialLine, data: bytes) -> bytes:
    with line.use() as port:
        port.write(data)
        return port.read(1)


def write(line: SerialLine, data: bytes) -> None:
    with line.use() as port:
        port.write(data)


def flush(line: SerialLine) -> None:
    with line.use() as port:
        port.reset_input_buffer()


def test_it_is_opened_once_at_a_time() -> None:
    with played("") as port:
        choice = SerialChoice(path=port)
        first = SerialLine(choice)
        with pytest.raises(HardwareFault, match=f"{port} cannot be opened: another program has it"):
            SerialLine(choice)
        first.close()
        SerialLine(choice).close()


def test_it_is_opened_again_after_it_was_gone(tmp_path: Path) -> None:
    with played("!") as port:
        stable = link(tmp_path, port)
    with pytest.raises(HardwareFault, match="no serial port with path"):
        SerialLine(SerialChoice(path=str(stable)))
    with played("> 01\n!") as port:
        link(tmp_path, port)
        line = SerialLine(SerialChoice(path=str(stable)))
        with pytest.raises(DeviceLost, match=f"path {stable} is gone: "):
            exchange(line, b"\1")
    with played("> 02\n< 03") as port:
        link(tmp_path, port)
        assert exchange(line, b"\2") == b"\3"
        line.close()


def test_it_is_gone_in_the_terminal_s_own_words() -> None:
    """Flushing a port that is gone raises what is no OSError."""
    with played("> 01\n!") as port:
        line = SerialLine(SerialChoice(path=port))
        write(line, b"\1")
    with pytest.raises(DeviceLost, match="is gone: "):
        flush(line)


def test_it_takes_nothing_more() -> None:
    master, slave = os.openpty()
    line = SerialLine(SerialChoice(path=os.ttyname(slave)), write_timeout=0.05)
    with pytest.raises(DeviceLost, match="takes nothing more"):
        exchange(line, bytes(1_000_000))
    os.close(master)
    os.close(slave)


def test_a_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HardwareFault, match=f"the serial port {file} cannot be opened: "):
        SerialLine(SerialChoice(path=str(file)))
