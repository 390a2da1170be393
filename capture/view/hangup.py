"""A terminal that has hung up: writing to it fails, and nobody reads it."""

from __future__ import annotations

import os

OUTPUTS = (1, 2)


def mute() -> None:
    """Standard output and error, where their terminal is gone, go nowhere from now on.

    So that what is still said on the way out does not become the fault that ends the program.
    """
    for output in OUTPUTS:
        try:
            os.write(output, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)
