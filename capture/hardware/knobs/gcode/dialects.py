"""What the firmwares say and want to hear. A dialect keeps nothing in mind; it only translates.

Sources: GRBL 1.1's and grblHAL's interface documents, Marlin's G-code reference.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from capture.hardware.gcode_facts import AXES
from capture.hardware.knobs.gcode import words

IDLE = "Idle"
NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True, slots=True)
class Ok:
    """The line is taken. It says nothing of where anything stands."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The line is not carried out, or nothing is any more: what was said, and what it means."""

    said: str
    means: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    said: str
    means: str


@dataclass(frozen=True, slots=True)
class Greeting:
    """Said after a reset, and only then."""

    said: str


@dataclass(frozen=True, slots=True)
class Report:
    """Where the axes stand, in their units, and what the controller is doing."""

    state: str
    places: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Busy:
    """It is at work on the line, and asks for patience."""


@dataclass(frozen=True, slots=True)
class Resend:
    """The line of this number came damaged, was not carried out, and is wanted again."""

    number: int


Event = Ok | Refusal | Alarm | Greeting | Report | Busy | Resend


@dataclass(frozen=True, kw_only=True)
class Dialect(ABC):
    """How one firmware is spoken to.

    ``reset``: a byte that resets it; empty if it has none. ``hello``: the first line, after which
    both are in step. ``unlock``: frees it of an alarm. ``setup``: millimetres, absolute places,
    motors that stay on. ``barrier``: answered when all motion has ended. ``question``: asks for a
    report; as a byte that may come at any time (``at_any_time``), or as a line.
    """

    name: str
    reset: bytes
    hello: str
    unlock: str
    setup: tuple[str, ...]
    barrier: str
    question: str
    at_any_time: bool

    @abstractmethod
    def frame(self, command: str, number: int) -> bytes:
        """The bytes of a line: the ``number``-th since ``hello``, which is 0."""

    @abstractmethod
    def home(self, axes: Sequence[str]) -> str: ...

    @abstractmethod
    def move(self, places: Mapping[str, float], feed_per_min: float) -> str:
        """A straight move to ``places``, counted from the origin that homing found."""

    @abstractmethod
    def events(self, line: str) -> list[Event]:
        """What a line says; nothing if it is idle talk or noise."""


class Grbl(Dialect):
    """GRBL 1.1 and grblHAL."""

    def frame(self, command: str, number: int) -> bytes:
        return command.encode("ascii") + b"\n"

    def home(self, axes: Sequence[str]) -> str:
        return "$H"  # which axes it homes is one of its settings

    def move(self, places: Mapping[str, float], feed_per_min: float) -> str:
        # G53: places of the machine, whatever offset somebody has stored.
        return f"G53 {_straight(places, feed_per_min)}"

    def events(self, line: str) -> list[Event]:
        if line == "ok":
            return [Ok()]
        if re.search(r"grbl(hal)? \d", line, re.IGNORECASE):
            return [Greeting(line)]
        if found := re.fullmatch(r"error:(\d+)", line):
            return [Refusal(line, words.error(int(found[1])))]
        if found := re.fullmatch(r"ALARM:(\d+)", line):
            return [Alarm(line, words.alarm(int(found[1])))]
        if found := re.fullmatch(r"<([A-Za-z]+)(?::\d+)?((?:\|[^|]*)*)>", line):
            return [Report(found[1], _machine_places(found[2]))]
        return []


class Marlin(Dialect):
    """Marlin 1.1 and 2. Lines are numbered and checked; a report waits for its turn."""

    def frame(self, command: str, number: int) -> bytes:
        line = f"N{number} {command}".encode("ascii")
        checksum = 0
        for byte in line:
            checksum ^= byte
        return line + b"*%d\n" % checksum

    def home(self, axes: Sequence[str]) -> str:
        return " ".join(["G28", *axes])

    def move(self, places: Mapping[str, float], feed_per_min: float) -> str:
        return _straight(places, feed_per_min)

    def events(self, line: str) -> list[Event]:
        if re.match(r"ok\b", line):
            return [*_reported(line), Ok()]
        if re.match(r"(\\x..)*start$|(echo:)?Marlin\b", line):
            return [Greeting(line)]
        if found := re.match(r"(?:resend|rs)\b\D*(\d{1,9})", line, re.IGNORECASE):
            return [Resend(int(found[1]))]
        if "busy:" in line:
            return [Busy()]
        # A line that came damaged is an error too: what matters then is the resend after it.
        if re.match(r"error:(?!.*(checksum|line n|expected line))|!!|fatal:", line, re.IGNORECASE):
            return [Refusal(line)]
        if re.match(r"echo:(Unknown command|Home .*First)", line):
            return [Refusal(line)]
        return _reported(line)


GRBL = Grbl(
    name="GRBL",
    reset=b"\x18",
    hello="",  # ends half a line, and an error that grblHAL latched
    unlock="$X",
    setup=("G21 G90 G94",),
    barrier="G4 P0",
    question="?",
    at_any_time=True,
)

MARLIN = Marlin(
    name="Marlin",
    reset=b"",  # M112 would stop it for good; opening the port resets most boards
    hello="M110 N0",
    unlock="",
    setup=("G21", "G90", "M84 S0"),  # it reads one command a line
    barrier="M400",
    question="M114",
    at_any_time=False,
)

DIALECTS: Mapping[str, Dialect] = {
    "grbl": GRBL,
    "grblhal": replace(GRBL, name="grblHAL"),
    "marlin": MARLIN,
}


def _machine_places(fields: str) -> dict[str, float]:
    """From ``|MPos:0.000,-10.500,0.000|FS:0,0``; empty without MPos, or if it is malformed."""
    found = re.search(rf"\|MPos:({NUMBER}(?:,{NUMBER})*)(?:\||$)", fields)
    if not found:
        return {}
    return dict(zip(AXES["grblhal"], map(float, found[1].split(",")), strict=False))


def _reported(line: str) -> list[Event]:
    """From ``X:10.00 Y:0.00 Z:0.00 E:0.00 Count X:800 Y:0 Z:0``; the counts are steps."""
    if not re.match(r"(ok .*)?X:", line):
        return []
    pattern = rf"(?<![A-Za-z])([XYZABCUVW]): ?({NUMBER})(?![\d.]|[eE][-+])"
    places = re.findall(pattern, line.partition("Count")[0])
    return [Report(IDLE, {axis: float(place) for axis, place in places})]


def _straight(places: Mapping[str, float], feed_per_min: float) -> str:
    words = [f"{axis}{_number(place)}" for axis, place in places.items()]
    return " ".join(["G1", *words, f"F{_number(feed_per_min)}"])


def _number(value: float) -> str:
    """Without an exponent, which no firmware reads."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
