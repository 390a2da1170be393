"""status, verify: what a dataset holds."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, Stop, app, fail, print_json, reporting
from capture.errors import BadInput, DamagedData


@app.command()
@reporting
def status(dataset: Dataset, as_json: Json = False) -> None:
    """Show what is captured, what is left, the last calibration, the last fault."""
    from capture.dataset.folder import Folder
    from capture.run.ledger import Ledger
    from capture.view import stored

    Folder(dataset).require()
    ledger = Ledger.read(dataset)
    try:
        found = stored.status(dataset, ledger)
    finally:
        ledger.close()
    if as_json:
        print_json(found)
    else:
        print(stored.status_text(found))


@app.command()
@reporting
def verify(
    dataset: Dataset,
    release: Annotated[
        str | None,
        typer.Option(metavar="X.Y.Z", help="Only the files of this release, as it was made."),
    ] = None,
    audio: Annotated[
        bool, typer.Option("--audio", help="Repeat the take checks on the audio of every take.")
    ] = False,
    songs: Annotated[
        str | None,
        typer.Option("--songs", metavar="N|ID,ID", help="Only the takes of these songs."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--slice", metavar="I/N", help="Only every Nth song, from the Ith on."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes [one a core].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read again everything that the ledger claims; name whatever is damaged.

    With --songs or --slice only the takes of these songs are read: one job's part of many.
    """
    from capture.dataset import verify as verifier
    from capture.dataset.folder import Folder
    from capture.run import begun
    from capture.run.ledger import Ledger
    from capture.view import recheck as view
    from capture.view import stored

    if not audio and (songs or part or jobs):
        raise BadInput("--songs, --slice and --jobs are for the takes' audio: add --audio")
    stop = Stop()
    folder = Folder(dataset)
    folder.require()
    ledger = Ledger.read(dataset)
    report = heard = None
    try:
        progress = stored.progress(sys.stderr)
        if songs is None and part is None:
            if release is None:
                controls = begun.rig(ledger).control_values
                report = verifier.verify(folder, ledger, controls, progress)
            else:
                report = verifier.verify_release(folder, ledger, release, progress)
        if audio:
            from capture.run import recheck
            from capture.run.standing import Wanted

            wanted = Wanted.of(dataset, release, songs, part)
            known = {damage.file for damage in report.damage} if report else None
            heard = recheck.recheck(
                folder, ledger, wanted, known, jobs or os.cpu_count() or 1, progress, stop
            )
    finally:
        ledger.close()
    if as_json:
        found = stored.report_json(report) if report else None
        print_json(view.as_json(heard, found) if heard else found)
    else:
        if report:
            print(stored.report_text(dataset, report))
        if heard:
            print(view.as_text(dataset, heard))
    if places := sum(len(one.damage) for one in (report, heard) if one):
        fail(DamagedData(f"{dataset}: is damaged in {places} places"))
