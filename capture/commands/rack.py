"""init, devices, rack: what a rig profile is written from, and the rack that is simulated."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from capture.commands.frame import Json, app, print_json, reporting
from capture.errors import BadInput, HardwareFault


@app.command()
@reporting
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
        print_json({"plan": str(plan_file), "rig": str(rack_file), "songs": str(songs)})
        return
    print(f"Written: {plan_file}, {rack_file}, {songs}/")
    print(f"Put songs into {songs}/, then: capture plan {plan_file}")


@app.command()
@reporting
def devices(as_json: Json = False) -> None:
    """List audio devices and serial ports, as a rig profile names them."""
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
        print_json(stored.devices_json(audio, serial, problems))
    else:
        print(stored.devices_text(audio, serial, problems))


@app.command()
@reporting
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
