"""Which serial port a rig profile means: facts only. ``serial_ports.find`` looks for it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from capture.documents import Strict

NUMBERED = re.compile(r"(/dev/)?(tty(USB|ACM|S|AMA)|cu\.usbmodem|(\\\\\.\\)?COM)\d+", re.IGNORECASE)
"""Names that are given in the order of plugging in."""


def _vid_pid(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}", text):
        raise ValueError(f"{text!r} is no VID:PID: write four hex digits twice, as '0403:6001'")
    return text.lower()


def _stable(path: str) -> str:
    if NUMBERED.fullmatch(path):
        raise ValueError(
            f"{path!r} is a number, which changes from one start to the next: give the path below "
            "/dev/serial/by-id or by-path, or serial_number, or vid_pid; `capture devices` lists "
            "them"
        )
    return path


class SerialChoice(Strict):
    """What identifies a serial port: all that is given must be true of it.

    ``serial_number``: of its USB adapter; ``vid_pid``: ``0403:6001``, any adapter of that make;
    ``path``: a link below ``/dev/serial/by-id`` or ``by-path``, or another name that stays.
    """

    serial_number: Annotated[str, Field(min_length=1)] | None = None
    vid_pid: Annotated[str, AfterValidator(_vid_pid)] | None = None
    path: Annotated[str, Field(min_length=1), AfterValidator(_stable)] | None = None

    @model_validator(mode="after")
    def _given(self) -> SerialChoice:
        if self.serial_number is None and self.vid_pid is None and self.path is None:
            raise ValueError("says no port: give serial_number, vid_pid or path")
        return self

    def __str__(self) -> str:
        """In words: ``serial number A50285BI, VID:PID 0403:6001``."""
        facts = (
            ("serial number", self.serial_number),
            ("VID:PID", self.vid_pid),
            ("path", self.path),
        )
        return ", ".join(f"{name} {value}" for name, value in facts if value is not None)
