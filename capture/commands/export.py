"""export, workflow: a dataset in other tools' layouts, on one machine or on many."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, Stop, app, print_json, reporting


@app.command()
@reporting
def export(
    format_name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="hf-parquet, webdataset, cv-db, tonetwist, signaltrain or frictionless.",
        ),
    ],
    dataset: Dataset,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is made for it.")],
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="X.Y.Z", help="Which release [the newest]."),
    ] = None,
    songs: Annotated[
        str | None,
        typer.Option("--songs", metavar="N|ID,ID", help="So many songs, or these."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", metavar="H", help="So many hours of takes at most.")
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option("--settings", metavar="QUERY", help="As 'ratio >= 4, release_s = auto'."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the order of --songs and --hours.")] = 0,
    part: Annotated[
        str | None,
        typer.Option("--slice", metavar="I/N", help="Write only every Nth part, from the Ith on."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes [one a core].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a dataset in another tool's layout. Run again to go on; docs/exports.md."""
    from dataclasses import asdict

    from capture.dataset.export import work
    from capture.dataset.select import Selection
    from capture.dataset.snapshot import snapshot
    from capture.view import exports

    found = snapshot(dataset, release)
    print(exports.source_text(dataset, found.version), file=sys.stderr)
    done = work.export(
        found,
        format_name,
        out,
        Selection(songs, hours, settings, seed),
        part,
        jobs or os.cpu_count() or 1,
        Stop(),
        lambda text: print(text, file=sys.stderr),
    )
    if as_json:
        print_json(asdict(done))
    else:
        print(exports.report_text(done))


@app.command()
@reporting
def workflow(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are copied.")],
) -> None:
    """Copy the Snakemake workflow that verifies and exports a dataset on a cluster."""
    from capture.dataset import workflow as shipped

    for path in shipped.copy(folder):
        print(path)
