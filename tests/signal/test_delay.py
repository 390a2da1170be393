"""The delay estimator against known delays, and against the simulated rig's truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capture.errors import MeasurementFailed
from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.signal import delay

RATES = (44100, 48000, 96000)


def spectrum_delay(signal: np.ndarray, frames: float) -> np.ndarray:
    """``signal`` later by any number of frames, exact for what is below half the rate."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(signal)) * frames)
    return np.fft.irfft(np.fft.rfft(signal) * turn, len(signal))


def channel(rate_hz: int, side: int = 0) -> np.ndarray:
    return delay.probe(rate_hz)[:, side]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("frames", [0, 1, 987, 12345, 0.25, 987.31, 4000.5, 3.999])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_pure_delay_is_found_exactly(rate_hz: int, frames: float, sign: int) -> None:
    sent = channel(rate_hz)
    found = delay.from_probe(sent, sign * spectrum_delay(sent, frames), rate_hz)
    assert found.frames == pytest.approx(frames, abs=1e-6)
    assert found.inverted is (sign < 0)
    assert found.uncertainty_frames < 1e-6
    assert found.high_hz == 16000


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("gain_db", [-60.0, -5.3, 0.0, 6.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_pure_gain_is_found_exactly(rate_hz: int, gain_db: float, sign: int) -> None:
    sent = channel(rate_hz)
    back = sign * 10 ** (gain_db / 20) * spectrum_delay(sent, 987.31)
    found = delay.from_probe(sent, back, rate_hz)
    assert found.gain_db == pytest.approx(gain_db, abs=1e-6)
    assert found.gain_uncertainty_db is not None
    assert found.gain_uncertainty_db < 1e-6


def test_the_gain_is_that_about_1_khz_whatever_the_phase() -> None:
    """One pole at 20 kHz, a blocking capacitor of 20 Hz: it is the mean of 0.5 to 2 kHz."""
    sent = channel(44100)
    frequency = np.fft.rfftfreq(len(sent), 1 / 44100)
    through = 1j * frequency / (20 + 1j * frequency) / (1 + 1j * frequency / 20e3)
    back = np.fft.irfft(np.fft.rfft(sent) * through, len(sent))
    at_1_khz = 20 * np.log10(abs(through[np.argmin(abs(frequency - 1000))]))
    assert delay.from_probe(sent, back, 44100).gain_db == pytest.approx(at_1_khz, abs=0.02)


def test_the_stated_uncertainty_of_the_gain_is_its_spread() -> None:
    """Noise of -60 dBFS, seeds 0 to 23: the gain is right to 0.06 dB, and says so."""
    sent = channel(44100)
    errors, stated = [], []
    for seed in range(24):
        noise = 1e-3 * np.random.default_rng(seed).standard_normal(len(sent))
        found = delay.from_probe(sent, spectrum_delay(sent, 987.31) + noise, 44100)
        errors.append(found.gain_db or 0.0)
        stated.append(found.gain_uncertainty_db)
    spread = float(np.sqrt(np.mean(np.square(errors))))
    assert 0.03 < spread < 0.09
    assert 0.7 < spread / float(np.mean(stated)) < 1.4


@pytest.mark.parametrize("rate_hz", RATES)
def test_both_channels_of_the_probe_are_found(rate_hz: int, rack: Any) -> None:
    profile = rack.profile(rate_hz=rate_hz)
    probe = delay.probe(rate_hz)
    received, truth = render(profile, rack.setting(), rack.codes(probe), Label("latency", "p"))
    for side, name in enumerate(("left", "right")):
        found = delay.from_probe(probe[:, side], received[:, side] / 2.0**31, rate_hz)
        # Noise of -100 dBFS, hum, DC, crosstalk, distortion.
        assert found.frames == pytest.approx(truth.delay_frames[name], abs=5e-4)
        assert abs(found.frames - truth.delay_frames[name]) < 5 * found.uncertainty_frames
        assert not found.inverted
        assert found.peak_to_rms > 100


@pytest.mark.parametrize(
    ("noise_dbfs", "worst"), [(-100, 0.0002), (-80, 0.002), (-60, 0.02)], ids=str
)
def test_the_stated_uncertainty_is_the_spread(rack: Any, noise_dbfs: int, worst: float) -> None:
    """Seeds 0 to 7, both channels: 16 errors against 16 stated uncertainties."""
    probe = delay.probe(44100)
    noise = dict.fromkeys(("left", "right", "cv", "loopback"), noise_dbfs)
    errors, stated = [], []
    for seed in range(8):
        profile = rack.profile(seed=seed, noise_dbfs=noise)
        received, truth = render(profile, rack.setting(), rack.codes(probe), Label("latency", "p"))
        for side, name in enumerate(("left", "right")):
            found = delay.from_probe(probe[:, side], received[:, side] / 2.0**31, 44100)
            errors.append(found.frames - truth.delay_frames[name])
            stated.append(found.uncertainty_frames)
    spread = float(np.sqrt(np.mean(np.square(errors))))
    ratio = spread / float(np.mean(stated))
    print(f"noise {noise_dbfs} dBFS: rms error {spread:.5f}, rms error / stated {ratio:.2f}")
    assert 0.6 < ratio < 1.6
    assert np.abs(errors).max() < worst
    assert abs(np.mean(errors)) < 4 * spread / np.sqrt(len(errors))


def test_hum_does_not_matter(rack: Any) -> None:
    hum = dict.fromkeys(("left", "right", "cv", "loopback"), -50)
    probe = delay.probe(44100)
    received, truth = render(
        rack.profile(hum_dbfs=hum), rack.setting(), rack.codes(probe), Label("latency", "p")
    )
    found = delay.from_probe(probe[:, 0], received[:, 0] / 2.0**31, 44100)
    assert found.frames == pytest.approx(truth.delay_frames["left"], abs=0.005)


def test_crosstalk_and_the_other_sweep_do_not_matter(rack: Any) -> None:
    probe = delay.probe(44100)
    received, truth = render(
        rack.profile(crosstalk_db=-20), rack.setting(), rack.codes(probe), Label("latency", "p")
    )
    for side, name in enumerate(("left", "right")):
        found = delay.from_probe(probe[:, side], received[:, side] / 2.0**31, 44100)
        assert found.frames == pytest.approx(truth.delay_frames[name], abs=0.005)


def test_a_low_pass_adds_its_own_delay_in_the_band() -> None:
    """One pole at 20 kHz delays by 0.35 frames at 0 Hz, and by less at the top of the band."""
    sent = channel(44100)
    frequency = np.fft.rfftfreq(len(sent), 1 / 44100)
    turned = np.fft.rfft(sent) / (1 + 1j * frequency / 20e3)
    found = delay.from_probe(sent, np.fft.irfft(turned, len(sent)), 44100)
    top_frames = np.arctan(16 / 20) / (2 * np.pi * 16e3) * 44100
    assert top_frames < found.frames < 44100 / (2 * np.pi * 20e3)
    assert found.uncertainty_frames < 0.005


def test_a_low_pass_of_linear_phase_delays_all_alike() -> None:
    sent = channel(44100)
    taps = np.sinc(0.8 * np.arange(-31, 32)) * np.hanning(63)
    found = delay.from_probe(sent, np.convolve(sent, taps)[: len(sent)], 44100)
    assert found.frames == pytest.approx(31, abs=1e-6)


def test_music_is_a_reference_too(rack: Any, groove: np.ndarray) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    window = slice(200_000, 232_768)
    taper = np.hanning(32_768)
    sent, back = (s[window, 0] / 2.0**31 * taper for s in (take.sent, take.received))
    found = delay.estimate(sent, back, 44100, -64, 64, 20.0, 0.7)
    assert found.frames == pytest.approx(take.fractions[0], abs=0.05)


def test_nothing_came_back() -> None:
    sent = channel(44100)
    with pytest.raises(MeasurementFailed, match="nothing came back"):
        delay.from_probe(sent, np.zeros_like(sent), 44100)


def test_noise_is_not_a_delay() -> None:
    """20 seeds; none is believed."""
    sent = channel(44100)
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal(len(sent))
        with pytest.raises(MeasurementFailed, match="does not resemble"):
            delay.from_probe(sent, noise, 44100)


def test_another_signal_is_not_a_delay(groove: np.ndarray) -> None:
    sent = channel(44100)
    with pytest.raises(MeasurementFailed, match="does not resemble"):
        delay.from_probe(sent, groove[: len(sent), 0].astype(float), 44100)


@pytest.mark.parametrize("frames", [44100, 44100.4])
def test_the_edge_of_the_search_is_no_delay(frames: float) -> None:
    sent = channel(44100)
    with pytest.raises(MeasurementFailed, match="edge of the search"):
        delay.from_probe(sent, spectrum_delay(sent, frames), 44100)


@pytest.mark.parametrize("frames", [-500, 45000, 52000])
def test_a_delay_outside_the_search_is_named_as_such(frames: int) -> None:
    sent = channel(44100)
    with pytest.raises(MeasurementFailed, match="outside the search"):
        delay.from_probe(sent, np.roll(sent, frames), 44100)


def test_the_longest_delay_that_fits_is_found() -> None:
    sent = channel(44100)
    assert delay.from_probe(sent, np.roll(sent, 44099), 44100).frames == pytest.approx(44099)


@pytest.mark.parametrize("rate_hz", RATES)
def test_the_probe_is_quiet_and_covers_the_band(rate_hz: int) -> None:
    probe = delay.probe(rate_hz)
    assert probe.shape == (2 * (round(0.4 * rate_hz) + rate_hz), 2)
    assert 20 * np.log10(np.abs(probe).max()) == pytest.approx(delay.PROBE_PEAK_DBFS, abs=0.01)
    assert np.abs(probe).max() < 10 ** (-40 / 20)
    assert not np.any(probe[:, 0] * probe[:, 1])
    for side in (0, 1):
        power = np.abs(np.fft.rfft(probe[:, side])) ** 2
        frequency = np.fft.rfftfreq(len(probe), 1 / rate_hz)
        band = (frequency >= delay.LOW_HZ) & (frequency <= delay.HIGH_HZ)
        # A power density in proportion to 1 + 1 kHz / f, and little below 30 Hz.
        shape = 10 * np.log10(power[band] / (1 + 1000 / frequency[band]))
        assert np.ptp(shape) < 1.5
        assert power[frequency < 30].max() < 0.05 * power[band].max()


def test_the_probe_has_the_level_that_is_asked_for() -> None:
    quiet, loud = delay.probe(44100), delay.probe(44100, -6.0)
    assert np.allclose(loud, quiet * 10 ** ((-6 - delay.PROBE_PEAK_DBFS) / 20))


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
def test_a_compressor_that_works_does_not_move_the_delay(rack: Any, law: str) -> None:
    """The same sweep at -6 dBFS, 20 dB of reduction: by less than 0.001 frame."""
    probe = delay.probe(44100, -6.0)
    received, truth = render(
        rack.profile(law), rack.setting(ratio=10), rack.codes(probe), Label("latency", "p")
    )
    assert truth.gain_db.min() < -15
    columns = {name: received[:, side] / 2.0**31 for side, name in enumerate(("left", "right"))}
    for name, found in delay.of_inputs(probe, columns, 44100).items():
        assert found.frames == pytest.approx(truth.delay_frames[name], abs=0.001)


def test_all_inputs_at_once(rack: Any) -> None:
    probe = delay.probe(44100)
    received, truth = render(
        rack.profile(), rack.setting(), rack.codes(probe), Label("latency", "p")
    )
    columns = {"left": received[:, 0], "right": received[:, 1], "loopback": received[:, 3]}
    found = delay.of_inputs(probe, {n: c / 2.0**31 for n, c in columns.items()}, 44100)
    assert list(found) == list(columns)
    for name, one in found.items():
        assert one.frames == pytest.approx(truth.delay_frames[name], abs=5e-4)
    columns["loopback"] = np.zeros_like(columns["left"])
    with pytest.raises(MeasurementFailed, match="input loopback: nothing came back"):
        delay.of_inputs(probe, columns, 44100)


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize("rate_hz", RATES)
def test_the_probe_never_works_the_compressor(rack: Any, law: str, rate_hz: int) -> None:
    codes = rack.codes(delay.probe(rate_hz))
    profile = rack.profile(law, rate_hz)
    for threshold in (-28, -24, -20, 12):
        setting = rack.setting(threshold=threshold, ratio=10)
        _, truth = render(profile, setting, codes, Label("latency", "p"))
        assert not truth.gain_db.any()
