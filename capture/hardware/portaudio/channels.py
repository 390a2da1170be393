"""Which channels to open on which host API, to get at the ones that a rig names. Pure.

ASIO opens exactly the chosen ones (``channel_selectors``), Core Audio maps them (``channel_map``:
for an input the channels to use, for an output one entry for each channel of the device). All
others open a row of channels from the first one on, of which some columns are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SampleFormat = Literal["float32", "int32"]
Kind = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Channels:
    """``opened`` channels of the stream; the wanted ones are its ``columns``.

    ``settings`` are the arguments of sounddevice's settings object for this host API.
    """

    opened: int
    columns: tuple[int, ...]
    settings: dict[str, Any]


def is_jack(host_api: str) -> bool:
    return host_api.startswith("JACK")


def sample_format(host_api: str) -> SampleFormat:
    """The format in which PortAudio passes 24 bits on unchanged.

    JACK and Core Audio are float32 inside, which holds 24 bits exactly. Integer hosts would be
    converted to float and back, which is off by one code and more (PortAudio scales by 2**31 - 1).
    """
    return "float32" if is_jack(host_api) or host_api == "Core Audio" else "int32"


def choose(host_api: str, kind: Kind, numbers: Sequence[int], available: int) -> Channels:
    """Channels for the 1-based ``numbers``, of a device that has ``available`` of this kind."""
    wanted = tuple(number - 1 for number in numbers)
    in_order = tuple(range(len(wanted)))
    if host_api == "ASIO":
        return Channels(len(wanted), in_order, {"channel_selectors": list(wanted)})
    if host_api == "Core Audio":
        strict = {"change_device_parameters": True, "fail_if_conversion_required": True}
        routed = [wanted.index(n) if n in wanted else -1 for n in range(available)]
        mapped = list(wanted) if kind == "input" else routed
        return Channels(len(wanted), in_order, {"channel_map": mapped, **strict})
    if host_api == "Windows WASAPI":  # shared streams are mixed and resampled behind our back
        return Channels(available, wanted, {"exclusive": True})
    return Channels(max(numbers), wanted, {})
