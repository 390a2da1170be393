"""evaluate: how far a model's answers are from what was recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from capture.commands.frame import Dataset, Json, app, print_json, reporting


@app.command()
@reporting
def evaluate(
    dataset: Dataset,
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", help="A folder: NAME.wav or NAME.gain.npy per take."),
    ],
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="X.Y.Z", help="The release [the newest one]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a model's audio or gain with the takes: per split, per setting, and in all."""
    from capture.dataset import evaluate as evaluation
    from capture.dataset.load import load
    from capture.view import evaluation as view
    from capture.view.stored import progress

    takes = load(dataset, release)
    matched = evaluation.match(takes, predictions)
    show, scored = progress(sys.stderr), list[evaluation.Score]()
    for score in evaluation.scores(matched):
        show(score.take["take_id"])
        scored.append(score)
    show("")
    if as_json:
        print_json(view.as_json(takes, predictions, matched, scored))
    else:
        print(view.as_text(takes, predictions, matched, scored))
