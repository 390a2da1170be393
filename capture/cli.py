"""The command line: puts the parts together, and turns errors into exit codes. No logic.

Heavy imports are inside the commands: ``capture --help`` loads none of them.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec

import typer

from capture import __version__
from capture.errors import (
    BadInput,
    CaptureError,
    DamagedData,
    HardwareFault,
    Interrupted,
    TakesRejected,
)

if TYPE_CHECKING:
    from capture.run.events import SessionEnded

P = ParamSpec("P")
BROKEN_PIPE_EXIT = 141
SWITCH_S = 0.0005

# Two takes are worked on at a time, each in a thread. A linear algebra library that starts threads
# of its own for our small matrices costs twice the processor's time and saves none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="capture",
    help="Records what a compressor really does: plans, plays, records, checks, keeps.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Plan = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's file, or a preset's name.")]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")]
RigOption = Annotated[
    str | None,
    typer.Option("--rig", metavar="RIG", help="A rig's file or preset; wins over the plan's."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DATASET", help="The dataset folder [datasets/PLAN'S NAME]."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def main() -> None:
    """The program."""
    # A take's threads hand Python's lock to and fro; whoever is busy may hold it for so long only.
    sys.setswitchinterval(SWITCH_S)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)


def _reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Turns every error that a user can act on into its message and its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CaptureError as error:
            if kwargs.get("as_json"):
                _print_json({"error": {"exit_code": error.exit_code, "messages": error.messages}})
            _fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(Interrupted.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(BROKEN_PIPE_EXIT)

    return wrapped


def _fail(error: CaptureError) -> NoReturn:
    """Says why, and ends with the error's exit code. For a command that has printed its result."""
    for message in error.messages:
        print(message, file=sys.stderr)
    sys.exit(error.exit_code)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, allow_nan=False))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"capture {__version__}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction] - typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Stop:
    """Asked to stop by a signal: noted at once, obeyed between two blocks of audio."""

    def __init__(self) -> None:
        self._asked = False
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # nohup has a hang-up ignored: let it be so.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
        if signal.Signals(number).name == "SIGHUP":
            from capture.view import hangup

            hangup.mute()

    def __call__(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self._asked:
            raise Interrupted("interrupted; all that was captured is saved, run again to go on")


@app.command()
@_reporting
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
    stop = _Stop()
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
            )
            ended = runner.run(job, limit)
        finally:
            ledger.close()
            view.close()
    if as_json:
        _print_json(_result(root, ended, unusable))
    if unusable:
        _fail(BadInput("some songs cannot be used, and the plan is not complete:", *unusable))
    if ended.rejected and ended.outcome == "finished":
        count = f"{ended.rejected} take" + ("s" if ended.rejected > 1 else "")
        _fail(
            TakesRejected(f"{count} failed their checks every time: see {root}/evidence/rejected")
        )


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
@_reporting
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
        _print_json(view.as_json(asked.spec.name, expansion, summary, notes))
    else:
        print(view.as_text(asked.spec.name, expansion, summary, notes))


@app.command()
@_reporting
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
        _print_json(view.as_json(found))
    else:
        print(view.as_text(found))
    if error := preflight.verdict(found):
        _fail(error)


@app.command()
@_reporting
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
    stop = _Stop()
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
        _print_json(view.as_json(found))
    else:
        print(view.as_text(found))
    if found.differences:
        _fail(HardwareFault("a gain is not what the plan says:", *found.differences))


@app.command()
@_reporting
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a starter plan and a rig profile for your own rack."""
    from capture import presets
    from capture.dataset import files

    texts = {
        "plan.yaml": presets.packaged("plan", "starter"),
        "rack.yaml": presets.packaged("rig", "starter"),
    }
    present = [str(folder / name) for name in texts if (folder / name).exists()]
    if present:
        raise BadInput(*(f"{name}: exists already, and is not overwritten" for name in present))
    for name, text in texts.items():
        files.write_text(folder / name, text)
    with files.writing(folder):
        (folder / "songs").mkdir(exist_ok=True)
    plan_file, rack_file, songs = (folder / name for name in (*texts, "songs"))
    if as_json:
        _print_json({"plan": str(plan_file), "rig": str(rack_file), "songs": str(songs)})
        return
    print(f"Written: {plan_file}, {rack_file}, {songs}/")
    print(f"Put songs into {songs}/, then: capture plan {plan_file}")


@app.command()
@_reporting
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
        _print_json(found)
    else:
        print(stored.status_text(found))


@app.command()
@_reporting
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
        _print_json(stored.report_json(report))
    else:
        print(stored.report_text(dataset, report))
    if report.damage:
        _fail(DamagedData(f"{dataset}: is damaged in {len(report.damage)} places"))


@app.command()
@_reporting
def rack(
    rig: Annotated[
        str, typer.Option("--rig", metavar="RIG", help="A rig's file or preset.")
    ] = "jack-rack",
    server: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="JACK's server [JACK_DEFAULT_SERVER, or JACK's own]."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep here what was really sent.")
    ] = None,
) -> None:
    """Be the simulated rack, as a JACK client: to try the real audio path without a sound card."""
    from capture import presets
    from capture.hardware.rack.client import run_rack
    from capture.run.asked import read_profile

    profile = read_profile(presets.find("rig", rig, Path.cwd()).document)
    run_rack(profile, server, truth, functools.partial(print, flush=True))


@app.command()
@_reporting
def devices(as_json: Json = False) -> None:
    """List audio devices and serial ports, as a rig profile names them."""
    from capture.errors import HardwareFault
    from capture.hardware.portaudio.devices import AudioDevice, audio_devices
    from capture.hardware.serial_ports import serial_ports
    from capture.view import stored

    problems: list[str] = []
    audio: list[AudioDevice] = []
    try:
        audio = audio_devices()
    except HardwareFault as error:
        problems += error.messages
    serial = serial_ports()
    if as_json:
        _print_json(stored.devices_json(audio, serial, problems))
    else:
        print(stored.devices_text(audio, serial, problems))
