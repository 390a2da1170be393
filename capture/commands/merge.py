"""merge: what several racks captured of one plan, in one dataset."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, Stop, app, print_json, reporting

Others = Annotated[
    list[Path], typer.Argument(metavar="OTHER...", help="Datasets of the same plan.")
]


@app.command()
@reporting
def merge(dataset: Dataset, others: Others, as_json: Json = False) -> None:
    """Bring sessions of the same plan from several racks together. No take is taken twice."""
    stop = Stop()
    from capture.dataset.folder import Folder, hold
    from capture.run import merge as merging
    from capture.run.ledger import Ledger
    from capture.view import stored
    from capture.view.lines import plain
    from capture.view.releases import merged_text

    for root in (dataset, *others):
        Folder(root).require()
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(hold(dataset))
        ledger = opened.enter_context(contextlib.closing(Ledger.open(dataset)))
        readers = [
            (root, opened.enter_context(contextlib.closing(Ledger.read(root)))) for root in others
        ]
        found = merging.merge(folder, ledger, readers, stop, stored.progress(sys.stderr))
        counted = ledger.count().get("captured", (0, 0))[0]
    if as_json:
        print_json(
            {"dataset": str(dataset), "captured": counted, "merged": [plain(one) for one in found]}
        )
        return
    for one in found:
        print(merged_text(one))
    print(f"{dataset}: {counted} takes captured")
