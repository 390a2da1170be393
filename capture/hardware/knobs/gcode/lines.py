"""Bytes into lines, and what was said, kept for the record."""

from __future__ import annotations

from collections import deque

MAX_LINE = 256
"""No firmware says more in a line; what is longer is noise, and its rest is dropped."""

KEPT = 200
SHOWN = 8


class Lines:
    """Cuts a stream of bytes into lines, the same whatever pieces it comes in.

    A line ends with CR or LF; empty ones are left out. Half a line is kept until its end comes.
    """

    def __init__(self) -> None:
        self._half = bytearray()

    def split(self, data: bytes) -> list[str]:
        """The lines that ``data`` ends. What is not printable ASCII is written as ``\\xNN``."""
        ended: list[str] = []
        for byte in data:
            if byte not in b"\r\n":
                if len(self._half) < MAX_LINE:
                    self._half.append(byte)
            elif self._half:
                ended.append("".join(map(_shown, self._half)))
                self._half.clear()
        return ended


def _shown(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


class Transcript:
    """The last lines of a conversation: ``> sent``, ``< received``."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)

    def sent(self, line: str) -> None:
        self._lines.append(f"> {line}")

    def received(self, line: str) -> None:
        self._lines.append(f"< {line}")

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def __str__(self) -> str:
        return " | ".join(tuple(self._lines)[-SHOWN:]) or "nothing was said"
