"""Finds audio devices and opens streams on them. The only file that imports sounddevice, and late.

A device is what its name, its host API and its channel counts say, never an index: indexes change
whenever something is plugged in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from capture.errors import HardwareFault
from capture.hardware.portaudio.channels import Channels, choose, is_jack, sample_format

RATES_HZ = (44100, 48000, 88200, 96000, 176400, 192000)
LOOKS = 4
BETWEEN_LOOKS_S = 0.3
"""A host API that is just busy lists nothing: measured, libjack refuses a client that comes at the
same moment as another program's, on any server of the machine. So one look is not enough."""


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """A device as a rig profile names it, and the rates that it takes with all its channels."""

    name: str
    host_api: str
    inputs: int
    outputs: int
    default_rate_hz: int
    rates_hz: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stream that a rig profile asks for. Channel numbers count from 1."""

    name: str
    host_api: str | None
    device_inputs: int
    device_outputs: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sample_rate_hz: int
    block_frames: int


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answers to what is wanted, and how its channels are to be opened."""

    index: int
    host_api: str
    inputs: Channels
    outputs: Channels

    @property
    def jack(self) -> bool:
        return is_jack(self.host_api)


def audio_devices() -> list[AudioDevice]:
    """Every device of every host API. Raises HardwareFault where PortAudio is not installed."""
    portaudio = _portaudio()
    return [
        AudioDevice(
            name=device["name"],
            host_api=device["host_api"],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            rates_hz=_rates(portaudio, device),
        )
        for device in _look(portaudio, bool)
    ]


def find(wanted: Wanted) -> Found:
    """The one device that answers to ``wanted``.

    Raises HardwareFault: none does, or several; it lacks a channel; it refuses the sample rate.
    """
    portaudio = _portaudio()
    present = _look(portaudio, lambda found: any(_answers(device, wanted) for device in found))
    matching = [device for device in present if _answers(device, wanted)]
    if len(matching) != 1:
        raise HardwareFault(*_not_unique(wanted, matching, present))
    device = matching[0]
    counts = {"input": wanted.device_inputs, "output": wanted.device_outputs}
    faults = [
        f"audio device {wanted.name}: has {counts[kind]} {kind}s, and the rig uses {kind} {number}"
        for kind, numbers in (("input", wanted.inputs), ("output", wanted.outputs))
        for number in numbers
        if number > counts[kind]
    ]
    if faults:
        raise HardwareFault(*faults)
    host_api = device["host_api"]
    found = Found(
        index=device["index"],
        host_api=host_api,
        inputs=choose(host_api, "input", wanted.inputs, wanted.device_inputs),
        outputs=choose(host_api, "output", wanted.outputs, wanted.device_outputs),
    )
    _require_rate(portaudio, device, found, wanted)
    return found


def open_stream(wanted: Wanted, found: Found, callback: Callable[..., None]) -> Any:
    """A full-duplex stream that calls ``callback`` with raw buffers; not yet started.

    The device's buffers are large, for latency has no value here. Raises HardwareFault.
    """
    portaudio = _portaudio()
    large_s = 2 * wanted.block_frames / wanted.sample_rate_hz
    try:
        return portaudio.RawStream(
            samplerate=wanted.sample_rate_hz,
            blocksize=0,
            device=(found.index, found.index),
            channels=(found.inputs.opened, found.outputs.opened),
            dtype=sample_format(found.host_api),
            latency=(large_s, large_s),
            extra_settings=_settings(portaudio, found),
            callback=callback,
            clip_off=True,
            dither_off=True,
            never_drop_input=True,
        )
    except portaudio.PortAudioError as error:
        raise HardwareFault(f"audio device {wanted.name}: cannot be opened: {error}") from None


def start(stream: Any, name: str) -> None:
    """Starts a stream. Raises HardwareFault."""
    try:
        stream.start()
    except _portaudio().PortAudioError as error:
        raise HardwareFault(f"audio device {name}: cannot be started: {error}") from None


def leave() -> None:
    """Lets go of all host APIs. May hang where a device was lost."""
    _portaudio()._terminate()


def flag_bits(status: Any) -> int:
    """A callback's status as PortAudio's bits: input under-, overflow, output the same, priming."""
    return int(status._flags)


def _portaudio() -> Any:
    os.environ.setdefault("SD_ENABLE_ASIO", "1")  # of effect only before the import
    try:
        import sounddevice
    except OSError:
        raise HardwareFault(
            "PortAudio is not installed, so audio devices cannot be listed or opened "
            "(Debian: apt-get install libportaudio2)"
        ) from None
    return sounddevice


def _look(portaudio: Any, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Every device, looked for anew until that is ``enough`` or ``LOOKS`` have been had."""
    found = _all(portaudio)
    for _ in range(LOOKS - 1):
        if enough(found):
            break
        time.sleep(BETWEEN_LOOKS_S)
        portaudio._terminate()
        portaudio._initialize()
        found = _all(portaudio)
    return found


def _all(portaudio: Any) -> list[dict[str, Any]]:
    """Every device, with the name of its host API."""
    apis = [api["name"] for api in portaudio.query_hostapis()]
    devices = cast(list[dict[str, Any]], list(portaudio.query_devices()))
    return [{**device, "host_api": apis[device["hostapi"]]} for device in devices]


def _answers(device: dict[str, Any], wanted: Wanted) -> bool:
    return (
        device["name"] == wanted.name
        and wanted.host_api in (None, device["host_api"])
        and device["max_input_channels"] == wanted.device_inputs
        and device["max_output_channels"] == wanted.device_outputs
    )


def _not_unique(
    wanted: Wanted, matching: list[dict[str, Any]], present: list[dict[str, Any]]
) -> list[str]:
    """What was looked for, and what is there instead."""
    asked = _words(wanted.name, wanted.host_api, wanted.device_inputs, wanted.device_outputs)
    problem = "more than one answers to it" if matching else "is not there"
    candidates = matching or present
    listed = [
        "  "
        + _words(
            device["name"],
            device["host_api"],
            device["max_input_channels"],
            device["max_output_channels"],
        )
        for device in candidates
    ]
    remedy = (
        "write one of these into the rig's audio.device:"
        if listed
        else "no audio device is there at all; is it plugged in, is its driver (or JACK) running?"
    )
    return [f"audio device {asked}: {problem}; {remedy}", *listed]


def _words(name: str, host_api: str | None, inputs: int, outputs: int) -> str:
    return f"'{name}' ({host_api or 'any host API'}, {inputs} inputs, {outputs} outputs)"


def _require_rate(portaudio: Any, device: dict[str, Any], found: Found, wanted: Wanted) -> None:
    """Raises HardwareFault where the device refuses the rate with the channels that are wanted."""
    extra = _settings(portaudio, found)
    channels = {"input": found.inputs.opened, "output": found.outputs.opened}
    for side, kind in enumerate(channels):
        check = getattr(portaudio, f"check_{kind}_settings")
        try:
            check(
                device=found.index,
                channels=channels[kind],
                dtype=sample_format(found.host_api),
                samplerate=wanted.sample_rate_hz,
                extra_settings=extra[side] if extra else None,
            )
        except portaudio.PortAudioError as error:
            rates = ", ".join(map(str, _rates(portaudio, device))) or "none of the usual rates"
            raise HardwareFault(
                f"audio device {wanted.name}: refuses {wanted.sample_rate_hz} Hz with "
                f"{channels[kind]} {kind}s ({error}); it takes {rates}"
            ) from None


def _settings(portaudio: Any, found: Found) -> tuple[Any, Any] | None:
    """Settings objects of the host API, for input and output."""
    makers = {
        "ASIO": "AsioSettings",
        "Core Audio": "CoreAudioSettings",
        "Windows WASAPI": "WasapiSettings",
    }
    if found.host_api not in makers:
        return None
    make = getattr(portaudio, makers[found.host_api])
    return make(**found.inputs.settings), make(**found.outputs.settings)


def _rates(portaudio: Any, device: dict[str, Any]) -> tuple[int, ...]:
    """The usual rates that the device accepts."""
    accepted: list[int] = []
    for rate in RATES_HZ:
        try:
            for kind in ("input", "output"):
                channels = device[f"max_{kind}_channels"]
                if channels:
                    check = getattr(portaudio, f"check_{kind}_settings")
                    check(device=device["index"], channels=channels, samplerate=rate)
        except portaudio.PortAudioError:
            continue
        accepted.append(rate)
    return tuple(accepted)
