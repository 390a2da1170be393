"""The person at the rack: asked on a terminal, answering with keys.

Nothing is ever guessed. Where nobody can answer - there is no terminal, or it is gone - somebody is
notified and the program ends as if it had been interrupted: the session pauses, all is saved.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection, Generator, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from capture.errors import BadInput, Interrupted
from capture.hardware.ports import Declined, DriftSaid, Turn
from capture.view import hangup
from capture.view.keyboard import Closed, Keyboard
from capture.view.notify import Notifier
from capture.view.panel import TARGET, prompt, short
from capture.view.text import hours

REMIND_S = 600.0
BELL = "\a"
KEYS = """
    Enter  done, they stand so         b  back: the setting before was wrong
    s      skip this setting for now   i  impossible: this setting cannot be
    p      pause the session
"""
HINT = "Keys: Enter done, b back, s skip, p pause, i impossible."
BACK = (
    "Back: at the setting before, the knobs stood wrong, and its takes go.\n"
    "    b once more: yes. Any other key: no."
)
DRIFTED = """
    a  accept it: go on so, and compare with this take from now on
    m  measure again: the reference is recorded once more
    s  stop: the next run measures it again
"""
DRIFT_HINT = "Keys: a accept, m measure again, s stop."
WHO = "Who accepts it? One line; a single - takes it back:"
PAUSED = "Paused at {}; nobody is reminded. Any key goes on."
REASON = "Why is this setting impossible? One line; a single - takes it back:"


class TerminalOperator:
    """See ``hardware.ports.Operator``. ``stop`` raises Interrupted when somebody asked to stop.

    ``clear`` takes off the terminal what is drawn there, before anything is asked. Who is asked to
    turn knobs is notified at once, reminded after ``remind_s``, then whenever the time has doubled.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        notifier: Notifier | None = None,
        clear: Callable[[], None] = lambda: None,
        remind_s: float = REMIND_S,
    ) -> None:
        self._stop, self._clear, self._remind_s = stop, clear, remind_s
        self._notifier = notifier or Notifier()
        self._keyboard = Keyboard()

    def ask(self, question: str) -> str:
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        try:
            return self._keyboard.line(self._stop).strip()
        except Closed:
            raise BadInput(f"nobody answered: {question}") from None

    def turn(self, turns: Sequence[Turn], panel: Sequence[Turn]) -> None:
        try:
            with self._called(f"please turn {short(turns)}") as screen:
                while not self._turned(screen, turns, panel):
                    pass
        except _Nobody as nobody:
            self._notifier.send(f"paused: {nobody}. To be turned: {short(turns)}", wait=True)
            raise Interrupted(
                f"knobs are to be turned by hand ({short(turns)}), and {nobody}",
                "the session pauses; all that was captured is saved. Run the same command in a "
                "terminal to go on",
            ) from None

    def drifted(self, how: str) -> DriftSaid:
        try:
            with self._called(f"the rack has drifted: {how}") as screen:
                said = None
                while said is None:
                    said = self._judged(screen, how)
                return said
        except _Nobody as nobody:
            self._notifier.send(f"paused: {nobody}. The rack has drifted: {how}", wait=True)
            return DriftSaid("stop")

    @contextlib.contextmanager
    def _called(self, wanted: str) -> Generator[Screen]:
        """A screen to ask on, to which somebody is called. Raises _Nobody where nobody answers."""
        self._stop()
        try:
            self._clear()
            screen = _screen()
            if screen is None:
                raise _Nobody("there is no terminal to ask on")
            self._notifier.send(wanted)
            screen.write(BELL)
            yield screen
        except (Closed, OSError):
            hangup.mute()
            raise _Nobody("the terminal is gone") from None

    def _reminding(self, screen: Screen, wanted: str) -> Callable[[], None]:
        """What is done all the while that nobody answers."""
        waiting = _Waiting(self._remind_s)

        def idle() -> None:
            self._stop()
            if waiting.too_long():
                screen.say(BELL + f"Still waiting, for {hours(waiting.seconds)}.")
                self._notifier.send(f"still waiting: {wanted}")

        return idle

    def _judged(self, screen: Screen, how: str) -> DriftSaid | None:
        """Asks. None: to be asked once more. Raises Closed, OSError."""
        idle = self._reminding(screen, f"the rack has drifted: {how}")
        with self._keyboard.keys():
            rule = "=" * screen.width + "\n"
            title = "    THE RACK HAS DRIFTED".ljust(screen.width)
            text = Text(f"\n{rule}").append(title, TARGET).append(f"\n{rule}\n{how}\n")
            screen.show(text.append(DRIFTED))
            key = self._key(screen, idle, "ams", DRIFT_HINT)
        if key == "a":
            by = self._line(screen, idle, WHO)
            return DriftSaid("accept", by) if by else None
        screen.say("Measuring again." if key == "m" else "Stopped.")
        return DriftSaid("again" if key == "m" else "stop")

    def _turned(self, screen: Screen, turns: Sequence[Turn], panel: Sequence[Turn]) -> bool:
        """Asks. False: to be asked once more. Raises Declined, Closed, OSError."""
        idle = self._reminding(screen, f"please turn {short(turns)}")
        with self._keyboard.keys():
            screen.show(prompt(turns, panel, screen.width).append(KEYS))
            key = self._key(screen, idle, "\nsbip", HINT)
            if key == "p":
                screen.say(PAUSED.format(time.strftime("%H:%M")))
                self._keyboard.key(self._stop)
            if key == "b":
                screen.say(BACK)
                if self._keyboard.key(idle) == "b":
                    raise Declined("back")
        if key == "i" and (reason := self._line(screen, idle, REASON)):
            raise Declined("impossible", reason)
        if key == "s":
            screen.say("Skipped for now.")
            raise Declined("skip")
        if key == "\n":
            screen.say("Done.")
        return key == "\n"

    def _key(
        self, screen: Screen, idle: Callable[[], None], known: Collection[str], hint: str
    ) -> str:
        """One of those that mean something."""
        while (key := self._keyboard.key(idle)) not in {*known}:
            screen.say(hint)
        return key

    def _line(self, screen: Screen, idle: Callable[[], None], question: str) -> str:
        """Asked for until there is one; empty if it is taken back."""
        said = ""
        while not said:
            screen.say(question)
            line = self._keyboard.line(idle)
            said = "".join(filter(str.isprintable, line)).strip()
        return "" if said == "-" else said


class _Nobody(Exception):
    """Nobody can answer; why, in words."""


class _Waiting:
    """How long somebody has been waited for."""

    def __init__(self, remind_s: float) -> None:
        self._since, self._remind_s = time.monotonic(), remind_s

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since

    def too_long(self) -> bool:
        """Whether it is time for a reminder; the next is due when the time has doubled."""
        if self.seconds < self._remind_s:
            return False
        self._remind_s = 2 * self.seconds
        return True


class Screen:
    """A terminal to write on, past all buffers. Raises OSError when it is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream)

    @property
    def width(self) -> int:
        return self._console.width

    def show(self, text: Text) -> None:
        with self._console.capture() as drawn:
            self._console.print(text, end="")
        self.write(drawn.get())

    def say(self, line: str) -> None:
        self.write(f"    {line}\n")

    def write(self, text: str) -> None:
        self._stream.flush()
        data = text.encode(self._stream.encoding, "replace")
        while data:
            data = data[os.write(self._stream.fileno(), data) :]


def _screen() -> Screen | None:
    """The terminal that a person sees and types at; None where there is none."""
    if not sys.__stdin__ or not sys.__stdin__.isatty():
        return None
    streams = (stream for stream in (sys.__stderr__, sys.__stdout__) if stream)
    return next((Screen(stream) for stream in streams if stream.isatty()), None)
