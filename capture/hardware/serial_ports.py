"""Which serial ports there are, and what identifies each: never the number in its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capture.errors import HardwareFault
from capture.hardware.serial_choice import SerialChoice

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


def find(choice: SerialChoice) -> str:
    """The name to open the one port by that ``choice`` means.

    Raises HardwareFault, with all that is attached, when there is none or more than one.
    """
    attached = serial_ports()
    if choice.path is None:
        names = [port.port for port in attached if _is(choice, port)]
    else:
        names = [choice.path] if _is_at(choice, choice.path, attached) else []
    if len(names) == 1:
        return names[0]
    listed = "; ".join(_described(port) for port in attached) or "none"
    if not names:
        raise HardwareFault(
            f"no serial port with {choice}; attached: {listed}. Is it plugged in, and switched on?"
        )
    raise HardwareFault(
        f"{len(names)} serial ports with {choice}: {', '.join(names)}; say which one by "
        f"serial_number or path. Attached: {listed}"
    )


def _is(choice: SerialChoice, port: SerialPort) -> bool:
    return choice.serial_number in (None, port.serial_number) and choice.vid_pid in (
        None,
        port.vid_pid,
    )


def _is_at(choice: SerialChoice, path: str, attached: list[SerialPort]) -> bool:
    """Whether the port at ``path`` exists, and is what else is said of it."""
    if choice.serial_number is None and choice.vid_pid is None:
        return Path(path).exists()
    device = Path(path).resolve()
    return any(_is(choice, port) for port in attached if Path(port.port).resolve() == device)


def _described(port: SerialPort) -> str:
    facts = (
        ("serial number", port.serial_number),
        ("VID:PID", port.vid_pid),
        ("by-id", port.by_id),
    )
    known = ", ".join(f"{name} {value}" for name, value in facts if value is not None)
    return f"{port.port} ({known or port.description})"
