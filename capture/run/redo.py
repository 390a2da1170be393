"""What is recorded again because somebody asked for it, and what may not go on without being asked.

A take whose file is missing or short is damage: nothing is recorded on top of it until somebody has
looked. ``--repair`` reads every file of every take, and has those recorded again that are not as
they were committed. ``--retry-rejected`` does it with takes that failed their checks every time,
and asks again for settings that a person called impossible. Rows go to ``withdrawn``, what is left
of the files to ``lost+found/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.dataset.folder import LOST, Folder
from capture.dataset.verify import check, take_claims
from capture.errors import DamagedData
from capture.records import TakeRecord
from capture.run import events
from capture.run.ledger import Ledger

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Redo:
    """What was asked for."""

    repair: bool = False
    retry_rejected: bool = False

    def carry_out(self, folder: Folder, ledger: Ledger, observe: events.Observer) -> None:
        """Raises DamagedData where a take's files are not there and nobody asked for repair."""
        takes = list(ledger.takes())
        if self.repair:
            damaged = [take for take in takes if _damage(folder, take, audio=True)]
            _withdraw(folder, ledger, damaged, "its files were damaged", observe)
        else:
            _require_present(folder, takes)
        if self.retry_rejected:
            rejected = [take for take in takes if take.status == "rejected"]
            _withdraw(folder, ledger, rejected, "it was rejected", observe)
            ledger.ask_again()


def _withdraw(
    folder: Folder,
    ledger: Ledger,
    takes: Sequence[TakeRecord],
    reason: str,
    observe: events.Observer,
) -> None:
    names = ledger.withdraw([take.take_id for take in takes], reason)
    folder.lose(name for name in names if (folder.root / name).is_file())
    for take in takes:
        observe(events.Note(f"{take.output_file}: {reason}; to be recorded again ({LOST}/)"))


def _require_present(folder: Folder, takes: Sequence[TakeRecord]) -> None:
    found = [said for take in takes for said in _damage(folder, take, audio=False)]
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise DamagedData(
            *found[:SHOWN],
            *more,
            "put the files back, or have these takes recorded again: capture run ... --repair",
        )


def _damage(folder: Folder, take: TakeRecord, *, audio: bool) -> list[str]:
    """What is wrong with a take's files; without ``audio`` only their being there, and size."""
    found: list[str] = []
    for claim in take_claims(take):
        path = folder.root / claim.file
        if audio:
            damage = check(folder.root, claim)
            found += [f"{claim.file}: {damage.message}"] if damage else []
        elif not path.is_file():
            found.append(f"{claim.file}: is missing")
        elif claim.bytes is not None and path.stat().st_size != claim.bytes:
            found.append(f"{claim.file}: has another size than it was committed with")
    return found
