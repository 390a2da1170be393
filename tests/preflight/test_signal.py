"""Arrays to findings: known silence and known returns, against what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from capture.model import GainLaw
from capture.signal import delay
from capture.signal.preflight import Finding, at_rest, from_probe

RATE_HZ = 44100
INPUTS = ("left", "right", "cv", "loopback")
LAW = GainLaw(gain_db_per_fs=-50.0, gain_db_at_zero=0.0, origin="expected")
VOLTS_PER_FS = 2.5


def noise(frames: int, rms: float = 1e-5, mean: Sequence[float] = (0, 0, 0, 0)) -> np.ndarray:
    """A converter's, shape (frames, inputs)."""
    return np.random.default_rng(0).standard_normal((frames, 4)) * rms + np.array(mean)


def rest(received: np.ndarray, law: GainLaw = LAW) -> dict[str, Finding]:
    return {f.name: f for f in at_rest(received, INPUTS, law, VOLTS_PER_FS)}


def probed(routes: np.ndarray, late: int = 500, floor: float = 1e-5) -> dict[str, Finding]:
    """``routes``: gain from each send (row) to each input (column)."""
    sent = delay.probe(RATE_HZ)
    back = np.zeros((len(sent), 4))
    back[late:] = (sent @ routes)[: len(sent) - late]
    back += noise(len(sent), rms=floor)
    found = from_probe(sent, back, INPUTS, RATE_HZ, LAW, -50.0, -7.0)
    return {f.name: f for f in found}


def routes(**changed: float) -> np.ndarray:
    """A sound rig, with gains changed: ``left_right=0.1`` is from left to right."""
    table = np.array([[0.5, 0, 0, 1], [0, 0.5, 0, 0]], float)
    for name, gain in changed.items():
        send, back = name.split("_")
        table[INPUTS.index(send), INPUTS.index(back)] = gain
    return table


def not_ok(found: dict[str, Finding]) -> dict[str, str]:
    return {f.name: f.status for f in found.values() if f.status != "ok"}


def test_quiet_inputs_are_well_with_their_figures() -> None:
    found = rest(noise(RATE_HZ))
    assert not_ok(found) == {}
    assert "-100.0 dBFS" in found["noise left"].message
    assert "not verifiable at rest" in found["cv at rest"].message


@pytest.mark.parametrize(("rms", "status"), [(1e-4, "ok"), (1e-3, "warning"), (1e-2, "fail")])
def test_noise_is_judged_by_its_level(rms: float, status: str) -> None:
    received = noise(RATE_HZ)
    received[:, 0] *= rms / 1e-5
    found = rest(received)
    assert found["noise left"].status == status
    assert found["noise right"].status == "ok"


def test_dc_is_no_noise_and_is_found_beside_it() -> None:
    assert not_ok(rest(noise(RATE_HZ, mean=[0.02, 0, 0, 0]))) == {"offset left": "warning"}


def test_an_input_at_full_scale_and_a_frozen_one_are_told() -> None:
    received = noise(RATE_HZ)
    received[100, 0] = -1.0
    received[:, 1] = 0.0
    found = rest(received)
    assert not_ok(found) == {"noise left": "fail", "noise right": "warning"}


@pytest.mark.parametrize("value", [0.0, 0.01, 1.0, -1.0])
def test_a_cv_without_a_converter_s_noise_is_dead(value: float) -> None:
    received = noise(RATE_HZ)
    received[:, 2] = value
    assert rest(received)["cv at rest"].status == "fail"


def test_the_rest_of_the_cv_is_read_with_the_expected_law() -> None:
    law = GainLaw(gain_db_per_fs=-50.0, gain_db_at_zero=20.0, origin="expected")  # rest: 1 V
    at_one_volt = rest(noise(RATE_HZ, mean=[0, 0, 0.4, 0]), law)["cv at rest"]
    assert at_one_volt.status == "ok"
    assert "verifiable" not in at_one_volt.message
    unplugged = rest(noise(RATE_HZ), law)["cv at rest"]
    assert unplugged.status == "warning"
    assert "unplugged" in unplugged.message
    elsewhere = rest(noise(RATE_HZ, mean=[0, 0, 0.5, 0]), law)["cv at rest"]
    assert elsewhere.status == "warning"
    assert "-5.00 dB" in elsewhere.message


def test_a_sound_rig_has_its_gains_and_delays_measured() -> None:
    found = probed(routes())
    assert not_ok(found) == {}
    assert "-6.0 dB" in found["return left"].message
    assert "500.0" in found["latency left"].message
    assert "+0.0 dB" in found["loopback"].message or "-0.0 dB" in found["loopback"].message


def test_a_mono_mix_is_no_swap_and_a_swap_is_no_mix() -> None:
    mono = probed(routes(left_right=0.5, right_left=0.5))
    assert not_ok(mono) == {"crosstalk of left": "fail", "crosstalk of right": "fail"}
    swap = probed(routes(left_left=0, right_right=0, left_right=0.5, right_left=0.5))
    assert {swap["return left"].status, swap["return right"].status} == {"fail"}
    assert "exchange" in swap["return left"].message


@pytest.mark.parametrize(("gain", "status"), [(0.002, "ok"), (0.02, "warning"), (0.2, "fail")])
def test_crosstalk_is_judged_by_its_level(gain: float, status: str) -> None:
    found = probed(routes(left_right=gain))
    assert found["crosstalk of left"].status == status
    assert found["crosstalk of right"].status == "ok"


def test_hum_and_noise_are_no_return() -> None:
    table = routes(left_left=0)
    found = probed(table, floor=10 ** (-60 / 20))
    assert found["return left"].status == "fail"
    assert "nothing came back" in found["return left"].message
    assert found["return right"].status == "ok"


def test_levels_that_no_take_survives_are_told() -> None:
    found = probed(routes(left_left=0.001, right_right=4.0), floor=1e-7)
    assert found["return left"].status == "fail"
    assert found["return right"].status == "warning"


def test_audio_at_the_cv_input_and_a_missing_loopback_are_told() -> None:
    found = probed(routes(left_cv=0.5, left_loopback=0))
    assert found["cv apart"].status == "fail"
    assert found["loopback"].status == "fail"
    assert probed(routes(right_cv=0.005))["cv apart"].status == "warning"


def test_a_cv_that_moves_is_told() -> None:
    sent = delay.probe(RATE_HZ)
    back = sent @ routes() + noise(len(sent))
    back[50_000:, 2] += 0.02
    found = {f.name: f for f in from_probe(sent, back, INPUTS, RATE_HZ, LAW, -50.0, -7.0)}
    assert not_ok(found) == {"cv still": "warning"}
    assert "1.00" in found["cv still"].message


def test_a_delay_at_the_edge_of_the_search_is_a_failure_not_a_dead_return() -> None:
    found = probed(routes(), late=RATE_HZ)
    assert found["return left"].status == "ok"
    assert found["latency left"].status == "fail"
    assert "edge of the search" in found["latency left"].message
