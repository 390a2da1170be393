"""Delay, noise, hum, bits: measured from the recording by other means than made it."""

import itertools

import numpy as np
import pytest

from capture.hardware.simulated import render
from capture.hardware.simulated.converters import (
    Delay,
    fractional_taps,
    hum_period,
    one_pole,
)

RATE = 44100
FULL = 2**23
N = 32768


def tones(bins, n=N, amplitude=0.02, seconds=3):
    """Sines on exact bins of an n-point DFT, repeated ``seconds`` periods, int32 stereo."""
    rng = np.random.default_rng(5)
    t = np.arange(n) / n
    x = sum(np.sin(2 * np.pi * (b * t + rng.random())) for b in bins) * amplitude
    x = np.tile(np.rint(x * FULL).astype(np.int32), seconds) << 8
    return np.column_stack([x, x])


def delay_at(recorded, played, bins, n=N, start=N):
    """Delay in frames at each bin by the cross-spectrum's phase, unwrapped around ``near``."""
    cross = np.fft.rfft(recorded[start : start + n] * 1.0)[bins] * np.conj(
        np.fft.rfft(played[start : start + n] * 1.0)[bins]
    )
    return -np.angle(cross) / (2 * np.pi * bins / n), np.abs(cross)


@pytest.mark.parametrize("fractions", [(0.0, 0.5, 0.25), (0.31, 0.37, 0.12), (0.99, 1.75, 7.01)])
def test_delay_is_the_one_told(ideal, at, fractions):
    left, right, loopback = fractions
    skew = {"left": left, "right": right, "cv": 0.0, "loopback": loopback}
    profile = ideal({"converters": {"latency_frames": 40, "skew_frames": skew}})
    bins = np.array([17, 400, 2000, 5000, 9001, 12003, 14000])
    play = tones(bins)
    recorded, truth = render(profile, at(threshold=12.0), play)
    for column, name, fraction in (
        (0, "left", left),
        (1, "right", right),
        (3, "loopback", loopback),
    ):
        assert truth.delay_frames[name] == 40 + fraction
        early = np.roll(play[:, 0], 40)  # so that the rest is within half a period or wraps
        turns = bins * (fraction / N)
        phase = np.angle(
            np.fft.rfft(recorded[N : 2 * N, column] * 1.0)[bins]
            * np.conj(np.fft.rfft(early[N : 2 * N] * 1.0)[bins])
            * np.exp(2j * np.pi * turns)
        )
        np.testing.assert_allclose(phase / (2 * np.pi * bins / N), 0, atol=1e-3)
        assert np.abs(phase[0]) < 1e-5


def test_cv_lies_in_the_recording_where_its_delay_says(ideal, at):
    skew = {"left": 0.0, "right": 0.0, "cv": 0.84}
    profile = ideal({"converters": {"skew_frames": skew}, "cv": {"bandwidth_hz": 1e6}})
    rng = np.random.default_rng(1)
    play = np.zeros((2**17, 2), np.int32)
    play[1000:20000] = rng.integers(-(2**22), 2**22, (19000, 2)) << 8
    recorded, truth = render(profile, at(attack=10.0), play)
    volts = -0.05 * truth.gain_db
    ramp = np.exp(-2j * np.pi * np.fft.rfftfreq(len(volts)) * 100.84)
    expected = np.fft.irfft(np.fft.rfft(volts) * ramp)
    found = recorded[:, 2] / 2**31 * 2.5
    assert volts.max() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_pass_band_of_the_delay():
    f = np.linspace(0.001, 0.5, 500)
    for fraction in np.linspace(0, 0.99, 23):
        response = (
            np.exp(-2j * np.pi * np.outer(f, np.arange(32)))
            @ fractional_taps(np.array([fraction]))[0]
        )
        level = 20 * np.log10(np.abs(response))
        delay = -np.unwrap(np.angle(response)) / (2 * np.pi * f) - 15 - fraction
        assert np.abs(level[f < 0.44]).max() < 0.02
        assert np.abs(delay[f < 0.44]).max() < 1e-3
        assert level[f < 0.46].min() > -1


@pytest.mark.parametrize("ppm", [-400.0, -3.0, 0.5, 50.0, 1000.0])
def test_drift_lets_the_delay_grow(ppm):
    """A sine's phase, against the sine of the same instants, says delay + ppm * time."""
    f, n = 0.05, 100_000
    x = np.sin(2 * np.pi * f * np.arange(n))
    line = Delay(300.4, ppm)
    y = np.concatenate([line.process(x[i : i + 16384]) for i in range(0, n, 16384)])
    late = np.arange(n) - 300.4 - ppm * 1e-6 * np.arange(n)
    late = np.where(late > np.arange(n) - 16, np.arange(n) - 16, late)
    np.testing.assert_allclose(y[1000:], np.sin(2 * np.pi * f * late[1000:]), atol=2e-3)


def test_delay_in_pieces_is_delay_at_once():
    x = np.random.default_rng(1).standard_normal(5000)
    for ppm in (0.0, 80.0):
        whole = Delay(70.3, ppm, 0.5).process(x)
        line = Delay(70.3, ppm, 0.5)
        cuts = [0, 1, 2, 40, 1024, 1025, 4000, 5000]
        parts = np.concatenate([line.process(x[a:b]) for a, b in itertools.pairwise(cuts)])
        np.testing.assert_allclose(parts, whole, atol=5e-3 if ppm else 1e-12)
    np.testing.assert_allclose(whole[:40], 0.5, atol=1e-12)


@pytest.mark.parametrize("corner_hz", [0.1, 20.0, 1000.0, 20e3])
def test_one_pole_is_its_recursion(corner_hz):
    x = np.random.default_rng(1).standard_normal(3000)
    a, y, expected = np.exp(-2 * np.pi * corner_hz / RATE), 0.7, []
    for value in x:
        y = a * y + (1 - a) * value
        expected.append(y)
    np.testing.assert_allclose(one_pole(x, corner_hz, RATE, 0.7), expected, atol=1e-12)


def test_noise_has_its_level_and_is_white_and_independent(ideal, at):
    levels = {"left": -60.0, "right": -70.0, "cv": -80.0, "loopback": -200.0}
    profile = ideal({"converters": {"noise_dbfs": levels}})
    recorded = render(profile, at(), np.zeros((RATE * 2, 2), np.int32))[0] / 2**31
    for column, level in enumerate((-60, -70, -80)):
        x = recorded[:, column]
        assert 20 * np.log10(x.std()) == pytest.approx(level, abs=0.1)
        assert abs(x.mean()) < 4 * x.std() / np.sqrt(len(x))
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.015
        assert np.mean(x**4) / np.mean(x**2) ** 2 == pytest.approx(3 - 0.3, abs=0.1)
    assert abs(np.corrcoef(recorded[:, 0], recorded[:, 1])[0, 1]) < 0.015
    assert not recorded[:, 3].any()


def test_cv_noise_is_in_volts(ideal, at):
    profile = ideal({"cv": {"noise_volts_rms": 0.01}})
    recorded = render(profile, at(), np.zeros((RATE, 2), np.int32))[0]
    assert recorded[:, 2].std() / 2**31 * 2.5 == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_hum_and_its_harmonics(ideal, at, mains_hz):
    levels = {"left": -60.0, "right": -80.0, "cv": -200.0, "loopback": -200.0}
    profile = ideal({"converters": {"hum_dbfs": levels, "mains_hz": mains_hz}})
    recorded = render(profile, at(), np.zeros((RATE, 2), np.int32))[0] / 2**31
    spectrum = np.abs(np.fft.rfft(recorded, axis=0)) / (RATE / 2)
    assert 20 * np.log10(spectrum[mains_hz, 0]) == pytest.approx(-60, abs=0.01)
    assert 20 * np.log10(spectrum[mains_hz, 1]) == pytest.approx(-80, abs=0.05)
    assert 20 * np.log10(spectrum[3 * mains_hz, 0]) == pytest.approx(-66, abs=0.1)
    assert not recorded[:, 2].any()


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000, 96000, 44101])
def test_hum_repeats_without_a_seam(rate_hz):
    period = hum_period(rate_hz, 60)
    assert len(period) * 60 % rate_hz == 0
    tiled = np.tile(period, 2)
    step = np.abs(np.diff(tiled)).max()
    assert abs(period[0] - period[-1]) <= step


def test_dc(ideal, at):
    dc = {"left": 0.01, "right": -0.02, "cv": 0.001}
    recorded = render(ideal({"converters": {"dc_fs": dc}}), at(), np.zeros((100, 2), np.int32))[0]
    expected = np.array([0.01, -0.02, 0.001, 0.0])
    np.testing.assert_allclose(recorded.mean(axis=0) / 2**31, expected, atol=2**-23)


def test_recording_is_on_the_grid_of_24_bits(packaged, at):
    recorded = render(packaged(), at(), tones([100]))[0]
    assert recorded.dtype == np.int32
    assert recorded.shape == (3 * N, 4)
    assert not (recorded & 0xFF).any()
    assert len(np.unique(recorded[:, 0] >> 8)) > 1000


def test_a_24_bit_value_passes_the_loopback_unchanged(ideal, at):
    play = tones([50, 777])
    recorded = render(ideal(), at(), play)[0]
    assert np.abs(recorded[100:, 3] - play[:-100, 0]).max() <= 256 * 20  # ripple of 0.02 dB


def test_inputs_clip_hard_at_full_scale(ideal, at):
    profile = ideal({"converters": {"return_gain_db": 40.0}})
    recorded = render(profile, at(threshold=12.0), tones([200]))[0]
    assert recorded[:, :2].max() == 2**31 - 256
    assert recorded[:, :2].min() == -(2**31)
    assert recorded[:, 3].max() < 2**31 - 256


def test_return_gain_and_crosstalk(ideal, at):
    play = tones([1000])
    play[:, 1] = 0
    profile = ideal({"converters": {"return_gain_db": -5.0, "crosstalk_db": -40.0}})
    recorded = render(profile, at(threshold=12.0), play)[0][N : 2 * N] / 2**31
    left, right, loopback = 20 * np.log10(recorded[:, [0, 1, 3]].std(axis=0))
    assert loopback - left == pytest.approx(5, abs=1e-3)
    assert left - right == pytest.approx(40, abs=1e-3)


@pytest.mark.parametrize("included", [True, False])
def test_cv_law_and_where_makeup_lands(ideal, at, included):
    cv = {"volts_per_db": -0.04, "volts_at_0db": 0.1, "includes_makeup": included}
    profile = ideal({"unit": {"makeup_db": 5.0}, "cv": cv})
    play = np.full((RATE, 2), 2**29, np.int32)
    recorded, truth = render(profile, at(), play)
    volts = recorded[:, 2] / 2**31 * 2.5
    makeup_db = 5.0 if included else 0.0
    assert volts[0] == pytest.approx(-0.04 * makeup_db + 0.1, abs=1e-6)  # not a step from 0
    assert volts[-1] == pytest.approx(-0.04 * (truth.gain_db[-1] + makeup_db) + 0.1, abs=1e-6)


def test_cv_is_low_passed(ideal, at):
    """Behind 500 Hz a sudden attack reaches 1 - 1/e of its height after 1 / (2 pi 500) s."""
    profile = ideal({"cv": {"bandwidth_hz": 500.0}, "unit": {"law": "circuit"}})
    play = np.full((RATE // 4, 2), 2**28, np.int32)
    recorded, truth = render(profile, at(threshold=-28.0, attack=0.1, release=1.2), play)
    volts = recorded[100:, 2] / 2**31 * 2.5
    expected, y, a = [], 0.0, np.exp(-2 * np.pi * 500 / RATE)
    for gain_db in truth.gain_db:
        y = a * y + (1 - a) * -0.05 * gain_db
        expected.append(y)
    np.testing.assert_allclose(volts[40:], expected[40:-100], atol=1e-4)
