"""A rack with a panel that a person turns, and no audio: three settings, one after the other.

    python rack.py LOG [--remind S] [--live] [--deaf]

What comes of each setting goes to LOG, a line of JSON each. ``--live``: as in a session, a live
display is drawn meanwhile. ``--deaf``: hanging up is not obeyed, as with nohup.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from capture.errors import CaptureError, Interrupted
from capture.hardware.knobs.manual import ManualKnobs
from capture.hardware.ports import Declined
from capture.model import AUTO, Control, Position, Setting, Value, format_value
from capture.run import events
from capture.view import notify
from capture.view.live import LiveView
from capture.view.operator import TerminalOperator


def stepped(name: str, unit: str, *values: Value) -> Control:
    labels = {value: "AUTO" if value is AUTO else format_value(value) for value in values}
    return Control(name, unit, tuple(Position(labels[value], value) for value in values))


CONTROLS = (
    Control("threshold_db", "dB", minimum=-28, maximum=12, step=4),
    stepped("attack_ms", "ms", 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    stepped("release_s", "s", 0.1, 0.3, 0.6, 1.2, AUTO),
    stepped("ratio", ":1", 2.0, 4.0, 10.0),
)
SETTINGS = (
    Setting({"threshold_db": -20.0, "attack_ms": 0.3, "release_s": AUTO, "ratio": 4.0}),
    Setting({"threshold_db": -20.0, "attack_ms": 10.0, "release_s": 0.1, "ratio": 4.0}),
    Setting({"threshold_db": -4.0, "attack_ms": 10.0, "release_s": 0.1, "ratio": 4.0}),
)


def options() -> argparse.Namespace:
    found = argparse.ArgumentParser()
    found.add_argument("log", type=Path)
    found.add_argument("--remind", type=float, default=600.0)
    found.add_argument("--live", action="store_true")
    found.add_argument("--deaf", action="store_true")
    return found.parse_args()


def turn(operator: TerminalOperator, view: LiveView | None, log: Callable[..., None]) -> None:
    knobs = ManualKnobs(CONTROLS, operator)
    for number, setting in enumerate(SETTINGS):
        if view:
            view(events.SongStep(f"number {number}", "measuring song"))
        try:
            proof = knobs.set(setting)
        except Declined as declined:
            log(setting=number, declined=declined.what, reason=declined.reason)
        else:
            log(setting=number, confirmed=proof.confirmed, waited_s=proof.waited_s)


def main() -> int:
    asked = options()
    signals: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, frame: signals.append(number))
    if asked.deaf:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def stop() -> None:
        if signals:
            raise Interrupted("interrupted")

    def log(**said: Any) -> None:
        with asked.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")

    view = LiveView(Console()) if asked.live else None
    clear = view.close if view else lambda: None
    try:
        turn(TerminalOperator(stop, notify.of_environment(), clear, asked.remind), view, log)
    except CaptureError as error:
        log(error=type(error).__name__, messages=list(error.messages))
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    finally:
        clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
