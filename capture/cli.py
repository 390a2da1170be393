"""The command line: the program, and all of its commands (``commands``).

Heavy imports are inside the commands: ``capture --help`` loads none of them.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from capture import __version__
from capture.commands import evaluate, export, merge, rack, release, report, session, stored
from capture.commands.frame import app
from capture.errors import Interrupted

__all__ = [
    "app",
    "evaluate",
    "export",
    "main",
    "merge",
    "rack",
    "release",
    "report",
    "session",
    "stored",
]

SWITCH_S = 0.0005

# Two takes are worked on at a time, each in a thread. A linear algebra library that starts threads
# of its own for our small matrices costs twice the processor's time and saves none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Tables of a large dataset are read and written in parts. Arrow's own allocator keeps what it had:
# 40 % more memory for a release of 38,500 takes.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def main() -> None:
    """The program."""
    # A take's threads hand Python's lock to and fro; whoever is busy may hold it for so long only.
    sys.setswitchinterval(SWITCH_S)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"capture {__version__}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction] - typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
