"""The exceptions that a user can meet, and the exit code of each.

Every one carries sentences for a person: the thing, its value, what is allowed, what to do. The
command line prints them and exits with ``exit_code``; no traceback is shown for any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""A place in a YAML document: the keys and list indexes that lead to it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong at one place of a document.

    ``path`` leads to the place (empty: the document as a whole); ``message`` is a sentence.
    """

    path: KeyPath
    message: str


class CaptureError(Exception):
    """Anything that stops a command for a reason that a user can act on."""

    exit_code = 1

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class BadInput(CaptureError):
    """A plan, a rig, a song or an argument is wrong. Holds every fault that was found."""

    exit_code = 2


class TakesRejected(CaptureError):
    """The session is finished, but some takes failed their checks."""

    exit_code = 3


class HardwareFault(CaptureError):
    """The rig is absent, refuses, or does not answer as it must."""

    exit_code = 4


class DeviceLost(HardwareFault):
    """A device that was there is gone, or has stopped. It may come back."""


class MeasurementFailed(HardwareFault):
    """A measurement gave no trustworthy figure; the message is the reason."""


class DamagedData(CaptureError):
    """What is stored is not what was committed."""

    exit_code = 5


class StorageRefused(CaptureError):
    """There is no room, or no right, to write."""

    exit_code = 6


class NoRoom(StorageRefused):
    """There is no room now. There may be later."""


class DatasetBusy(CaptureError):
    """Another run holds this dataset."""

    exit_code = 7


class Interrupted(CaptureError):
    """Somebody asked to stop. All that was committed is kept; the next run goes on."""

    exit_code = 130


class DocumentFaults(Exception):
    """Faults found in a document's meaning, by code that does not know its file or its lines.

    Whoever read the document turns them into ``BadInput`` with ``Document.refuse``.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))
