"""A controller of motors: waits for its answers, and judges where it says that it stands.

Every fault is a HardwareFault that ends with the last lines of the conversation. After one, the
controller is closed and a new one is begun: nothing of what it said is believed any more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.conversation import Again, Conversation
from capture.hardware.knobs.gcode.dialects import (
    IDLE,
    Alarm,
    Busy,
    Dialect,
    Event,
    Greeting,
    Refusal,
    Report,
)
from capture.hardware.knobs.gcode.port import Port

HELLOS = 3
"""It may still be starting, and deaf."""

ASKS = 2
"""An answer may be lost, and to ask again moves nothing."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long is waited, in seconds, for what.

    ``greeting_s`` after opening, and again after a reset; ``answer_s`` for an answer;
    ``home_s`` for homing; ``move_s`` for a move's end. A line that says 'busy' has its time anew,
    ``busy_s`` in all. ``look_s`` for the end of a greeting, and from one look at the position
    to the next.
    """

    greeting_s: float = 5.0
    answer_s: float = 5.0
    home_s: float = 120.0
    move_s: float = 120.0
    busy_s: float = 600.0
    look_s: float = 0.1


class Controller:
    """Behind ``port``. ``name`` is what faults call it."""

    def __init__(self, port: Port, dialect: Dialect, waits: Waits, name: str) -> None:
        self._port, self._dialect, self._waits, self._name = port, dialect, waits, name
        self._conversation = Conversation(dialect)
        self._begun = False
        self._greeted = False
        self._report: Report | None = None

    @property
    def transcript(self) -> tuple[str, ...]:
        """What was said, ``> sent`` and ``< received``; of a long conversation its end."""
        return self._conversation.transcript.lines

    def begin(self, home: Sequence[str] | None) -> None:
        """From its greeting to where it can move. ``home``: axes to home; None: just unlock it."""
        if not self._greeting():
            raise self.fault(
                "does not greet: is it on? Are firmware and baud those of the profile?"
            )
        if not any(self._tell(self._dialect.hello) for _ in range(HELLOS)):
            raise self.fault(f"does not answer the first line, said {HELLOS} times")
        self._begun = True
        if home is not None:
            self.command(self._dialect.home(home), self._waits.home_s)
        elif self._dialect.unlock and self.report().state != IDLE:
            self.command(self._dialect.unlock)
        for line in self._dialect.setup:
            self.command(line)

    def command(self, command: str, within_s: float | None = None) -> None:
        """Says a line that must be answered with ok."""
        if not self._tell(command, within_s):
            within_s = within_s or self._waits.answer_s
            raise self.fault(f"does not answer {command!r} within {within_s:g} s")

    def go(self, places: Mapping[str, float], feed_per_min: float) -> None:
        """Moves, and waits for the end of all motion. An ok that is lost changes nothing."""
        if not self._tell(self._dialect.move(places, feed_per_min)):
            self.report()  # is anybody there?
        self._tell(self._dialect.barrier, self._waits.move_s)

    def away(self, places: Mapping[str, float], tolerance: float) -> dict[str, float]:
        """Of the axes in ``places``, those that stand still elsewhere, and where.

        An axis that moves is waited for. What is said is believed when it is said twice: the move
        may begin late, and what is said may be the answer to the question before.
        """
        until = self._port.now_s() + self._waits.move_s
        before: bool | None = None
        while True:
            report = self.report()
            if report.state in ("Alarm", "Sleep"):
                raise self.fault(f"is in the state {report.state}")
            if report.state == IDLE:
                elsewhere = self._elsewhere(report, places, tolerance)
                if before is bool(elsewhere):
                    return elsewhere
                before = bool(elsewhere)
            elif self._port.now_s() > until:
                raise self.fault(f"does not come to rest: it is in the state {report.state}")
            self._pause()

    def report(self) -> Report:
        """Asks where it stands."""
        self._report = None
        for _ in range(ASKS):
            with self._talking():
                self._port.write(self._conversation.ask())
            self._wait(lambda: self._report is not None and not self._conversation.outstanding)
            self._conversation.give_up()
            if self._report is not None:
                return self._report
        raise self.fault(f"does not say where it stands, asked {ASKS} times")

    def fault(self, sentence: str) -> HardwareFault:
        return HardwareFault(f"{self._name} {sentence}", self._said)

    def close(self) -> None:
        self._port.close()

    @property
    def _said(self) -> str:
        return f"last said: {self._conversation.transcript}"

    def _greeting(self) -> bool:
        """Whether it is there to be spoken to. One that cannot be reset need not greet."""
        if self._wait(lambda: self._greeted, self._waits.greeting_s):
            return True
        with self._talking():
            self._port.write(self._conversation.reset())
        if not self._dialect.reset:
            return True
        return self._wait(lambda: self._greeted, self._waits.greeting_s)

    def _tell(self, command: str, within_s: float | None = None) -> bool:
        """Says a line. False if its ok did not come: it may or may not have been carried out."""
        self._hear(wait=False)  # one that was reset meanwhile must not move
        conversation = self._conversation
        with self._talking():
            self._port.write(conversation.say(command))
        answered = self._wait(lambda: conversation.outstanding is None, within_s)
        conversation.give_up()
        return answered

    def _wait(self, done: Callable[[], bool], within_s: float | None = None) -> bool:
        """Hears until ``done``; False if the time is up. Being busy gives it its time anew."""
        within_s = within_s or self._waits.answer_s
        now = self._port.now_s()
        until, latest = now + within_s, now + max(within_s, self._waits.busy_s)
        while not done():
            if self._port.now_s() >= min(until, latest):
                return False
            if any(isinstance(event, Busy) for event in self._hear()):
                until = self._port.now_s() + within_s
        return True

    def _pause(self) -> None:
        self._wait(lambda: False, self._waits.look_s)

    def _hear(self, wait: bool = True) -> Sequence[Event | Again]:
        told = self._conversation.outstanding
        with self._talking():
            events = self._conversation.receive(self._port.read(wait))
            for event in events:
                if isinstance(event, Again):
                    self._port.write(event.data)
        for event in events:
            self._take(event, told)
        return events

    def _take(self, event: Event | Again, told: str | None) -> None:
        """``told``: the line that was outstanding. Before it is begun, only refusals count."""
        if isinstance(event, Report):
            self._report = event
        elif isinstance(event, Refusal):
            means = f": {event.means}" if event.means else ""
            to = f" to {told!r}" if told else ""
            raise self.fault(f"says {event.said!r}{to}{means}")
        elif isinstance(event, Greeting):
            self._greeted = True
            if self._begun:
                raise self.fault("was reset: where its axes stand is lost")
        elif isinstance(event, Alarm) and self._begun:
            raise self.fault(f"says {event.said!r}: {event.means}")

    def _elsewhere(
        self, report: Report, places: Mapping[str, float], tolerance: float
    ) -> dict[str, float]:
        for axis in places:
            if axis not in report.places:
                raise self.fault(f"does not report the place of axis {axis} (GRBL: set $10=1)")
        return {
            axis: report.places[axis]
            for axis, place in places.items()
            if abs(report.places[axis] - place) > tolerance
        }

    @contextmanager
    def _talking(self) -> Generator[None]:
        """Adds what was said to a fault of the port."""
        try:
            yield
        except HardwareFault as fault:
            raise type(fault)(*fault.messages, self._said) from None
