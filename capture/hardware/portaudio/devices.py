"""Which audio devices PortAudio sees. The only file that imports sounddevice, and late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from capture.errors import HardwareFault

RATES_HZ = (44100, 48000, 88200, 96000, 176400, 192000)


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """A device as a rig profile names it, and the rates that it takes with all its channels."""

    name: str
    host_api: str
    inputs: int
    outputs: int
    default_rate_hz: int
    rates_hz: tuple[int, ...]


def audio_devices() -> list[AudioDevice]:
    """Every device of every host API. Raises HardwareFault where PortAudio is not installed."""
    try:
        import sounddevice
    except OSError:
        raise HardwareFault(
            "PortAudio is not installed, so audio devices cannot be listed "
            "(Debian: apt-get install libportaudio2)"
        ) from None
    portaudio: Any = sounddevice
    apis = [api["name"] for api in portaudio.query_hostapis()]
    return [
        AudioDevice(
            name=device["name"],
            host_api=apis[device["hostapi"]],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            rates_hz=_rates(portaudio, device),
        )
        for device in cast(list[dict[str, Any]], list(portaudio.query_devices()))
    ]


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
