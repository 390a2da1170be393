"""What all commands share: arguments, errors as exit codes, the end by a signal."""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer

from capture.errors import CaptureError, Interrupted

P = ParamSpec("P")
BROKEN_PIPE_EXIT = 141

app = typer.Typer(
    name="capture",
    help="Records what a compressor really does: plans, plays, records, checks, keeps.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Plan = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's file, or a preset's name.")]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")]
RigOption = Annotated[
    str | None,
    typer.Option("--rig", metavar="RIG", help="A rig's file or preset; wins over the plan's."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DATASET", help="The dataset folder [datasets/PLAN'S NAME]."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Turns every error that a user can act on into its message and its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CaptureError as error:
            if kwargs.get("as_json"):
                print_json({"error": {"exit_code": error.exit_code, "messages": error.messages}})
            fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(Interrupted.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(BROKEN_PIPE_EXIT)

    return wrapped


def fail(error: CaptureError) -> NoReturn:
    """Says why, and ends with the error's exit code. For a command that has printed its result."""
    for message in error.messages:
        print(message, file=sys.stderr)
    sys.exit(error.exit_code)


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, allow_nan=False))


class Stop:
    """Asked to stop by a signal: noted at once, obeyed between two blocks of audio."""

    def __init__(self) -> None:
        self._asked = False
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # nohup has a hang-up ignored: let it be so.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
        if signal.Signals(number).name == "SIGHUP":
            from capture.view import hangup

            hangup.mute()

    def __call__(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self._asked:
            raise Interrupted("interrupted; all that was captured is saved, run again to go on")
