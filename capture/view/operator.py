"""The person at the rack: asked on a terminal, answering with keys.

Nothing is ever guessed. Where nobody can answer - there is no terminal, or it is gone - somebody is
notified and the program ends as if it had been interrupted: the session pauses, all is saved.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from rich.console import Console
from rich.text import Text

from capture.errors import BadInput, Interrupted
from capture.hardware.ports import Declined, Turn
from capture.view import hangup
from capture.view.keyboard import Closed, Keyboard
from capture.view.notify import Notifier
from capture.view.panel import prompt, short
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
        self._stop()
        try:
            self._clear()
            screen = _screen()
            if screen is None:
                self._nobody(turns, "there is no terminal to ask on")
            self._notifier.send(f"please turn {short(turns)}")
            screen.write(BELL)
            while not self._turned(screen, turns, panel):
                pass
        except (Closed, OSError):
            hangup.mute()
            self._nobody(turns, "the terminal is gone")

    def _turned(self, screen: Screen, turns: Sequence[Turn], panel: Sequence[Turn]) -> bool:
        """Asks. False: to be asked once more. Raises Declined, Closed, OSError."""
        waiting = _Waiting(self._remind_s)

        def idle() -> None:
            self._stop()
            if waiting.too_long():
                screen.say(BELL + f"Still waiting, for {hours(waiting.seconds)}.")
                self._notifier.send(f"still waiting: please turn {short(turns)}")

        with self._keyboard.keys():
            screen.show(prompt(turns, panel, screen.width).append(KEYS))
            key = self._key(screen, idle)
            if key == "p":
                screen.say(PAUSED.format(time.strftime("%H:%M")))
                self._keyboard.key(self._stop)
            if key == "b":
                screen.say(BACK)
                if self._keyboard.key(idle) == "b":
                    raise Declined("back")
        if key == "i" and (reason := self._reason(screen, idle)):
            raise Declined("impossible", reason)
        if key == "s":
            screen.say("Skipped for now.")
            raise Declined("skip")
        if key == "\n":
            screen.say("Done.")
        return key == "\n"

    def _key(self, screen: Screen, idle: Callable[[], None]) -> str:
        """One of those that mean something."""
        while (key := self._keyboard.key(idle)) not in ("\n", "s", "b", "i", "p"):
            screen.say(HINT)
        return key

    def _reason(self, screen: Screen, idle: Callable[[], None]) -> str:
        """Asked for until there is one; empty if it is taken back."""
        reason = ""
        while not reason:
            screen.say(REASON)
            line = self._keyboard.line(idle)
            reason = "".join(filter(str.isprintable, line)).strip()
        return "" if reason == "-" else reason

    def _nobody(self, turns: Sequence[Turn], why: str) -> NoReturn:
        self._notifier.send(f"paused: {why}. To be turned: {short(turns)}", wait=True)
        raise Interrupted(
            f"knobs are to be turned by hand ({short(turns)}), and {why}",
            "the session pauses; all that was captured is saved. Run the same command in a "
            "terminal to go on",
        )


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
