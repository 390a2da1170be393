"""Whose turn it is: lines out, events in. Waits for nothing and touches no port.

One line is outstanding at most; the next may be said when it is answered, or given up. An ``ok``
that comes while nothing is outstanding belongs to a line that was given up: it is noted, no more.

Marlin's lines carry numbers. One that came damaged it wants again: the same bytes, at once, and
only if it is the outstanding one. Another number means that a line never came, or that it was
reset; that is a refusal, since what was given up is never said again.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.hardware.knobs.gcode.dialects import Dialect, Event, Ok, Refusal, Resend
from capture.hardware.knobs.gcode.lines import Lines, Transcript

MOST_RESENDS = 10
"""Of one line; more is a cable that carries nothing."""


@dataclass(frozen=True, slots=True)
class Again:
    """The outstanding line is to be sent once more."""

    data: bytes


class Conversation:
    """With one controller. The dialect's ``hello`` begins it, and begins the count anew."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.transcript = Transcript()
        self.outstanding: str | None = None
        self._lines = Lines()
        self._number = -1  # of the line said last
        self._data = b""  # of that line
        self._resends = 0
        self._owed = 0  # an ok follows each resend, and answers no line

    def say(self, command: str) -> bytes:
        """The bytes of the next line. Raises RuntimeError while another one is outstanding."""
        if self.outstanding is not None:
            raise RuntimeError(f"{self.outstanding!r} is not answered yet")
        self._number = 0 if command == self.dialect.hello else self._number + 1
        self._data = self.dialect.frame(command, self._number)
        self.outstanding = command
        self._resends = self._owed = 0
        self._note()
        return self._data

    def reset(self) -> bytes:
        """The byte that resets the controller; empty if it has none."""
        if self.dialect.reset:
            self.transcript.sent("(reset)")
        return self.dialect.reset

    def ask(self) -> bytes:
        """The question for a report, as a byte or as the next line."""
        if not self.dialect.at_any_time:
            return self.say(self.dialect.question)
        self.transcript.sent(self.dialect.question)
        return self.dialect.question.encode("ascii")

    def give_up(self) -> None:
        """No answer is expected any more."""
        self.outstanding = None

    def receive(self, data: bytes) -> list[Event | Again]:
        """What ``data`` says, in the order in which it came. Half a line waits for its end."""
        heard: list[Event | Again] = []
        for line in self._lines.split(data):
            self.transcript.received(line)
            for event in self.dialect.events(line):
                heard += self._heard(event)
        return heard

    def _heard(self, event: Event) -> list[Event | Again]:
        if isinstance(event, Ok):
            if self._owed:
                self._owed -= 1
                return []
            if self.outstanding is None:
                return []
            self.outstanding = None
        elif isinstance(event, Refusal):
            self.outstanding = None
        elif isinstance(event, Resend):
            return self._resend(event.number)
        return [event]

    def _resend(self, number: int) -> list[Event | Again]:
        if self._number < 0:
            return []  # of a conversation before this one
        wanted = self.outstanding is not None and number == self._number
        # Damaged, the hello did not begin the count: the number is of the old one.
        wanted = wanted or self.outstanding == self.dialect.hello
        if wanted and self._resends < MOST_RESENDS:
            self._resends += 1
            self._owed += 1
            self._note()
            return [Again(self._data)]
        self.outstanding = None
        means = f"it came damaged {MOST_RESENDS} times: look at the cable"
        if not wanted:
            means = f"line {self._number} was the last: a line never came, or it was reset"
        return [Refusal(f"Resend: {number}", means)]

    def _note(self) -> None:
        self.transcript.sent(self._data.decode("ascii").rstrip("\n") or "(empty line)")
