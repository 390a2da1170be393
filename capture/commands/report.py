"""report: one page that shows what a dataset is made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, app, print_json, reporting


@app.command()
@reporting
def report(
    dataset: Dataset,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page [report.html in the current folder]."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="X.Y.Z", help="Of this release [what is captured]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page with plots: captured, calibrated, checked, missing."""
    from capture.dataset import files
    from capture.view.report import plots, source
    from capture.view.report.report import report as write

    plots.require()
    path = out or Path("report.html")
    with source.opened(dataset, release) as found:
        print(f"{dataset}: {found.what}", file=sys.stderr)
        files.write_text(path, write(found))
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size, "shows": found.what})
    else:
        print(f"Written: {path}")
