"""run, plan, check, calibrate: what is to be recorded, and recording it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.commands.frame import (
    Json,
    OutOption,
    Plan,
    RigOption,
    Stop,
    app,
    fail,
    print_json,
    reporting,
)
from capture.errors import BadInput, HardwareFault, TakesRejected

if TYPE_CHECKING:
    from capture.run.events import SessionEnded


@app.command()
@reporting
def run(
    plan: Plan,
    rig: RigOption = None,
    out: OutOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and plan; record none.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Record N takes at most.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Record takes again whose files are damaged.")
    ] = False,
    retry_rejected: Annotated[
        bool, typer.Option("--retry-rejected", help="Record takes again that were rejected.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Events as JSON lines on stderr, the result on stdout.")
    ] = False,
) -> None:
    """Carry out a plan: prepare, open the rig, calibrate, record, check, commit. Resumes."""
    if dry_run:
        _show_plan(plan, rig, as_json)
        return
    stop = Stop()
    from capture.dataset.folder import hold
    from capture.hardware.build import open_rig
    from capture.run import runner, session
    from capture.run.asked import ask
    from capture.run.ledger import Ledger
    from capture.run.redo import Redo
    from capture.view import notify
    from capture.view.operator import TerminalOperator

    asked = ask(plan, rig, Path.cwd(), need_songs=True)
    root = out or Path("datasets") / asked.spec.name
    notifier = notify.of_environment()
    view = _view(as_json)
    operator = TerminalOperator(stop, notifier, view.close)
    with hold(root) as folder:
        ledger = Ledger.open(root)
        try:
            job, unusable = session.begin(
                asked,
                folder,
                ledger,
                lambda: open_rig(asked.profile, operator),
                view,
                stop,
                Redo(repair, retry_rejected),
                operator,
            )
            ended = runner.run(job, limit)
        finally:
            ledger.close()
            view.close()
    if as_json:
        print_json(_result(root, ended, unusable))
    if unusable:
        fail(BadInput("some songs cannot be used, and the plan is not complete:", *unusable))
    if ended.rejected and ended.outcome == "finished":
        count = f"{ended.rejected} take" + ("s" if ended.rejected > 1 else "")
        fail(TakesRejected(f"{count} failed their checks every time: see {root}/evidence/rejected"))


def _view(as_json: bool) -> Any:
    """The view that fits where the output goes."""
    from capture.view.lines import JsonView, LinesView

    if as_json:
        return JsonView(sys.stderr)
    if sys.stdout.isatty():
        from rich.console import Console

        from capture.view.live import LiveView

        return LiveView(Console())
    return LinesView(sys.stdout)


def _result(root: Path, ended: SessionEnded, unusable: list[str]) -> Any:
    from capture.view.lines import plain

    return {"dataset": str(root), **plain(ended), "unusable_songs": unusable}


@app.command()
@reporting
def plan(plan: Plan, rig: RigOption = None, as_json: Json = False) -> None:
    """Show what a plan comes to: settings, takes, hours, knob turns, bytes, order."""
    _show_plan(plan, rig, as_json)


def _show_plan(name: str, rig: str | None, as_json: bool) -> None:
    from capture.plan.expand import expand
    from capture.plan.summary import summarize
    from capture.run.asked import ask, survey_songs
    from capture.run.session import timing
    from capture.view import plan as view

    asked = ask(name, rig, Path.cwd())
    notes = [fault.message for fault in (*asked.found.unmatched, *asked.found.idle)]
    songs = survey_songs(asked, notes.append)
    expansion = expand(asked.spec, asked.controls, songs)
    summary = summarize(expansion, timing(asked))
    if as_json:
        print_json(view.as_json(asked.spec.name, expansion, summary, notes))
    else:
        print(view.as_text(asked.spec.name, expansion, summary, notes))


@app.command()
@reporting
def check(
    plan: Plan,
    rig: RigOption = None,
    out: OutOption = None,
    as_json: Json = False,
) -> None:
    """Look for all that can be wrong before the first take: plan, songs, disk, rig, sound."""
    from capture.hardware import build
    from capture.run import preflight
    from capture.view import preflight as view

    hardware = preflight.Hardware(build.driver_faults, build.device_faults, build.open_rig)
    found = preflight.check(plan, rig, out, Path.cwd(), hardware)
    if as_json:
        print_json(view.as_json(found))
    else:
        print(view.as_text(found))
    if error := preflight.verdict(found):
        fail(error)


@app.command()
@reporting
def calibrate(
    plan: Plan,
    rig: RigOption = None,
    out: OutOption = None,
    voltmeter: Annotated[
        bool, typer.Option("--voltmeter", help="Ask what a voltmeter shows: 0 dBFS in volts.")
    ] = False,
    enrol: Annotated[
        bool, typer.Option("--enrol", help="Probe what the unit shows, setting by setting.")
    ] = False,
    temperature_c: Annotated[
        float | None,
        typer.Option(min=-20, max=80, metavar="C", help="The rack's temperature, to be kept."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the rig: latency, law of the control voltage, gain of the returns."""
    stop = Stop()
    from capture.dataset.folder import hold
    from capture.hardware.build import open_rig
    from capture.run.asked import ask
    from capture.run.calibration import calibrate, require_section
    from capture.run.ledger import Ledger
    from capture.view import calibration as view
    from capture.view import notify
    from capture.view.lines import JsonView, LinesView
    from capture.view.operator import TerminalOperator

    asked = ask(plan, rig, Path.cwd())
    require_section(asked.profile)
    root = out or Path("datasets") / asked.spec.name
    observe = JsonView(sys.stderr) if as_json else LinesView(sys.stderr)
    operator = TerminalOperator(stop, notify.of_environment())
    with hold(root) as folder:
        ledger = Ledger.open(root)
        try:
            found = calibrate(
                asked,
                folder,
                ledger,
                lambda: open_rig(asked.profile, operator),
                observe,
                stop,
                operator if voltmeter else None,
                temperature_c,
                enrol=enrol,
            )
        finally:
            ledger.close()
    if as_json:
        print_json(view.as_json(found))
    else:
        print(view.as_text(found))
    if found.differences:
        fail(HardwareFault("a gain is not what the plan says:", *found.differences))
