"""Which serial ports there are, and what identifies each: never the number in its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

BY_ID = Path("/dev/serial/by-id")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """``by_id`` is the stable path (Linux), ``vid_pid`` like ``0403:6001``; None if unknown."""

    port: str
    by_id: str | None
    vid_pid: str | None
    serial_number: str | None
    description: str


def serial_ports() -> list[SerialPort]:
    """Every serial port of this machine, sorted by name."""
    from serial.tools import list_ports

    links = {}
    if BY_ID.is_dir():
        links = {str(link.resolve()): str(link) for link in BY_ID.iterdir()}
    ports: list[Any] = sorted(list_ports.comports(), key=lambda port: port.device)
    return [
        SerialPort(
            port=port.device,
            by_id=links.get(str(Path(port.device).resolve())),
            vid_pid=None if port.vid is None else f"{port.vid:04x}:{port.pid:04x}",
            serial_number=port.serial_number,
            description=port.description,
        )
        for port in ports
    ]
