"""Which channels are opened on which host API, and in which format the samples pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.hardware.portaudio.channels import choose, sample_format
from capture.hardware.portaudio.driver import from_stream, to_stream

JACK = "JACK Audio Connection Kit"


def test_asio_opens_just_the_channels_that_are_wanted() -> None:
    found = choose("ASIO", "input", (7, 8, 3), 94)
    assert (found.opened, found.columns) == (3, (0, 1, 2))
    assert found.settings == {"channel_selectors": [6, 7, 2]}  # zero-based, of the exact length


def test_core_audio_maps_inputs_and_outputs_differently() -> None:
    inputs = choose("Core Audio", "input", (3, 4, 1), 8)
    assert (inputs.opened, inputs.columns) == (3, (0, 1, 2))
    assert inputs.settings["channel_map"] == [2, 3, 0]
    outputs = choose("Core Audio", "output", (5, 6), 8)
    assert outputs.opened == 2
    assert outputs.settings["channel_map"] == [-1, -1, -1, -1, 0, 1, -1, -1]
    for found in (inputs, outputs):
        assert found.settings["fail_if_conversion_required"] is True
        assert found.settings["change_device_parameters"] is True


def test_wasapi_is_exclusive_and_opens_all_channels() -> None:
    found = choose("Windows WASAPI", "output", (3, 4), 8)
    assert (found.opened, found.columns, found.settings) == (8, (2, 3), {"exclusive": True})


@pytest.mark.parametrize("host_api", ["ALSA", JACK])
def test_others_open_a_row_of_channels_from_the_first_on(host_api: str) -> None:
    found = choose(host_api, "input", (5, 6, 2), 16)
    assert (found.opened, found.columns, found.settings) == (6, (4, 5, 1), {})


@pytest.mark.parametrize(
    ("host_api", "expected"),
    [(JACK, "float32"), ("Core Audio", "float32"), ("ASIO", "int32"), ("ALSA", "int32")],
)
def test_the_format_is_the_one_that_the_host_passes_on_unchanged(
    host_api: str, expected: str
) -> None:
    assert sample_format(host_api) == expected


@given(st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1))
def test_every_24_bit_code_survives_both_formats(codes: list[int]) -> None:
    samples = (np.array(codes, np.int64) << 8).astype(np.int32)[:, None]
    for name in ("float32", "int32"):
        raw = to_stream(samples, name)
        assert raw.dtype == name
        assert np.array_equal(from_stream(raw, name), samples)


@pytest.mark.parametrize(("value", "code"), [(1.0, 2**23 - 1), (3.5, 2**23 - 1), (-9.0, -(2**23))])
def test_what_is_beyond_full_scale_is_full_scale(value: float, code: int) -> None:
    found = from_stream(np.array([[value]], np.float32), "float32")
    assert found[0, 0] >> 8 == code
