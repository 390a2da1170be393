"""status, verify: what a dataset holds."""

from __future__ import annotations

import sys

from capture.commands.frame import Dataset, Json, app, fail, print_json, reporting
from capture.errors import DamagedData


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
def verify(dataset: Dataset, as_json: Json = False) -> None:
    """Read again everything that the ledger claims; name whatever is damaged."""
    from capture.dataset import verify as verifier
    from capture.dataset.folder import Folder
    from capture.run import begun
    from capture.run.ledger import Ledger
    from capture.view import stored

    folder = Folder(dataset)
    folder.require()
    ledger = Ledger.read(dataset)
    try:
        controls = begun.rig(ledger).control_values
        report = verifier.verify(folder, ledger, controls, stored.progress(sys.stderr))
    finally:
        ledger.close()
    if as_json:
        print_json(stored.report_json(report))
    else:
        print(stored.report_text(dataset, report))
    if report.damage:
        fail(DamagedData(f"{dataset}: is damaged in {len(report.damage)} places"))
