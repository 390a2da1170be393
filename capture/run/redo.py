"""What is recorded again because somebody asked for it, and what may not go on without being asked.

A take whose file is missing or short is damage: nothing is recorded on top of it until somebody has
looked. ``--repair`` reads every file of every take, and has those recorded again that are not as
they were committed; a song's file is made anew from its source, if that gives the same bytes.
``--retry-rejected`` has those recorded again that failed their checks every time, and asks again
for settings that a person called impossible. Rows go to ``withdrawn``, or, where a release has the
take, to ``superseded``; what is left of the files to ``lost+found/``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from capture.dataset.claims import check, song_claim, take_claims
from capture.dataset.folder import LOST, Folder
from capture.errors import DamagedData
from capture.model import SongRecord
from capture.records import TakeRecord
from capture.run import events
from capture.run.asked import Asked
from capture.run.ledger import Ledger
from capture.songs.decode import UnusableSong
from capture.songs.ingest import remake

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Redo:
    """What was asked for."""

    repair: bool = False
    retry_rejected: bool = False

    def carry_out(
        self,
        asked: Asked,
        folder: Folder,
        ledger: Ledger,
        observe: events.Observer,
        stop: Callable[[], None],
        take_files: Mapping[str, int | None],
    ) -> None:
        """``take_files``: the ledger's.

        Raises DamagedData where one of them is not there and nobody asked for repair, or where a
        song cannot be made as it was; what ``stop`` does.
        """
        if self.repair:
            _remake_songs(asked, folder, ledger, observe, stop)
            damaged = [take for take in ledger.takes() if _damaged(folder, take)]
            reason = "its files were damaged"
            _withdraw(folder, ledger, damaged, reason, observe, damaged=True)
        else:
            _require_present(folder, take_files)
        if self.retry_rejected:
            _withdraw(folder, ledger, list(ledger.rejected()), "it was rejected", observe)
            ledger.ask_again()


def _withdraw(
    folder: Folder,
    ledger: Ledger,
    takes: Sequence[TakeRecord],
    reason: str,
    observe: events.Observer,
    *,
    damaged: bool = False,
) -> None:
    names = ledger.withdraw([take.take_id for take in takes], reason, damaged=damaged)
    folder.lose(name for name in names if (folder.root / name).is_file())
    for take in takes:
        observe(events.Note(f"{take.output_file}: {reason}; to be recorded again ({LOST}/)"))


def _remake_songs(
    asked: Asked,
    folder: Folder,
    ledger: Ledger,
    observe: events.Observer,
    stop: Callable[[], None],
) -> None:
    faults: list[str] = []
    for song in ledger.songs():
        if not check(folder.root, song_claim(song)):
            continue
        _lose(folder, song)
        if _remade(asked, folder, song, stop):
            observe(events.Note(f"{song.input_file}: was damaged; made anew, the same bytes"))
        else:
            _lose(folder, song)
            faults.append(
                f"{song.input_file}: is damaged, and {song.source} does not give the same bytes "
                f"here (they were made with {song.made_with}); put a copy of the file back"
            )
    if faults:
        raise DamagedData(*faults)


def _remade(asked: Asked, folder: Folder, song: SongRecord, stop: Callable[[], None]) -> bool:
    try:
        return any(
            remake(source, song, asked.spec.recipe, folder.root, stop)
            for source in asked.found.sources
            if source.where == song.source
        )
    except UnusableSong:
        return False


def _lose(folder: Folder, song: SongRecord) -> None:
    if (folder.root / song.input_file).is_file():
        folder.lose([song.input_file])


def _damaged(folder: Folder, take: TakeRecord) -> bool:
    return any(check(folder.root, claim) for claim in take_claims(take))


def _require_present(folder: Folder, take_files: Mapping[str, int | None]) -> None:
    """Only whether every file is there, and its size: their hashes would take hours."""
    found: list[str] = []
    for name, size in take_files.items():
        try:
            there = os.stat(f"{folder.root}/{name}").st_size  # noqa: PTH116 twice as fast
        except OSError:
            found.append(f"{name}: is missing")
        else:
            if size is not None and there != size:
                found.append(f"{name}: has another size than it was committed with")
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise DamagedData(
            *found[:SHOWN],
            *more,
            "put the files back, or have these takes recorded again: capture run ... --repair",
        )
