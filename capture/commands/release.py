"""release, diff: the versions of a dataset."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, app, print_json, reporting

Number = Annotated[str, typer.Argument(metavar="VERSION", help="Three numbers, such as 1.0.0.")]
Before = Annotated[str, typer.Argument(metavar="V1", help="The earlier release.")]
After = Annotated[str, typer.Argument(metavar="V2", help="The later one.")]


@app.command()
@reporting
def release(dataset: Dataset, number: Number, as_json: Json = False) -> None:
    """Freeze what is captured as a numbered version. Audio is never touched."""
    from capture.dataset import release as releasing
    from capture.dataset.folder import Folder, hold
    from capture.run import begun, outstanding
    from capture.run.ledger import Ledger
    from capture.view import releases as view
    from capture.view import stored

    Folder(dataset).require()
    with hold(dataset) as folder:
        ledger = Ledger.open(dataset)
        try:
            controls = begun.rig(ledger).control_values
            missing = outstanding.missing(ledger)
            progress = stored.progress(sys.stderr)
            found = releasing.release(folder, ledger, controls, number, missing, progress)
        finally:
            ledger.close()
    if as_json:
        print_json(view.release_json(found))
    else:
        print(view.release_text(dataset, found))


@app.command()
@reporting
def diff(dataset: Dataset, before: Before, after: After, as_json: Json = False) -> None:
    """List what changed between two releases: takes added, superseded, removed, columns."""
    from capture.dataset.diff import diff as compare
    from capture.dataset.snapshot import snapshot
    from capture.view import releases as view

    changes = compare(snapshot(dataset, before), snapshot(dataset, after))
    if as_json:
        print_json(view.diff_json(before, after, changes))
    else:
        print(view.diff_text(before, after, changes))
