"""The metrics: numbers worked by hand, loops that are plainly the formula, and other programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from capture.signal import metrics
from capture.signal.metrics import PIECE, GainError, Prefilter, gain_error


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def prefiltered(x: np.ndarray) -> np.ndarray:
    return Prefilter(x.shape[1]).process(x)


def finite(shape: Any) -> st.SearchStrategy[np.ndarray]:
    return some.arrays(np.float32, shape, elements=st.floats(-1, 1, width=32))


PAIRS = st.tuples(st.integers(64, 200), st.integers(1, 2)).flatmap(
    lambda shape: st.tuples(finite(shape), finite(shape))
)

# By hand ------------------------------------------------------------------------------------------


def test_gain_error_by_hand() -> None:
    """Errors of 1, 0 and -2 dB."""
    found = gain_error(np.array([0.0, -6.0, -12.0]), np.array([1.0, -6.0, -14.0]))
    assert found == GainError(1.0, pytest.approx((5 / 3) ** 0.5), 2.0, pytest.approx(-1 / 3))


def test_no_gain_at_all_is_taken_for_160_db_down() -> None:
    """20 log10(max(0, 1e-8)) = -160."""
    found = gain_error(np.array([-10.0, -10.0]), np.array([-np.inf, -10.0]))
    assert found.peak_db == 150
    assert found.bias_db == -75


def test_single_precision_is_no_matter() -> None:
    """A mean over an hour's frames of float32 is as good as one over ten."""
    frames = 3_000_000
    gain_db = np.full(frames, -20.1, np.float32)
    found = gain_error(gain_db, gain_db + np.float32(0.087))
    assert found.l1_db == pytest.approx(float(gain_db[0] + np.float32(0.087) - gain_db[0]))


def test_l1_and_esr_by_hand() -> None:
    """|error| 0.5, 0, 0.25; sum of its square 0.3125, of the signal's 1 + 1 + 0.25."""
    y, y_hat = column(1.0, -1.0, 0.5), column(0.5, -1.0, 0.25)
    assert metrics.l1(y, y_hat) == 0.25
    assert metrics.esr(y, y_hat) == pytest.approx(0.3125 / 2.25)


def test_esr_of_a_quarter_more_is_a_sixteenth() -> None:
    y = np.array([[0.25, 0.5], [-0.125, 0.75]])
    assert metrics.esr(y, 1.25 * y) == 0.0625
    assert metrics.esr(y, np.zeros_like(y)) == 1


def test_there_is_no_esr_of_silence() -> None:
    assert metrics.esr(np.zeros((10, 2)), np.ones((10, 2))) is None


def test_the_prefilter_by_hand() -> None:
    """(1 - z^-1) sum 0.995^n z^-n: 1, -0.005, -0.005 0.995, -0.005 0.995^2 ...; DC dies away."""
    impulse = np.zeros((5, 2))
    impulse[0] = [1.0, -2.0]
    answer = np.array([1.0, -0.005, -0.004975, -0.004950125, -0.004925374375])
    assert np.allclose(prefiltered(impulse), answer[:, None] * [1.0, -2.0], rtol=1e-12, atol=0)
    step = prefiltered(np.ones((3000, 1)))[:, 0]
    assert np.allclose(step, 0.995 ** np.arange(3000))
    nyquist = prefiltered(column(*[1.0, -1.0] * 2000))
    assert abs(nyquist[-1, 0]) == pytest.approx(2 / 1.995)


def test_mste_by_hand() -> None:
    """All windows of 1 have energy N, of 0.5 a quarter of that."""
    ones = np.ones((64, 2))
    assert metrics.mste(ones, 0 * ones) == 1.0
    assert metrics.mste(ones, 0.5 * ones) == 0.75
    assert metrics.mste(ones, -ones) == 0.0


def test_mste_of_an_impulse_by_hand() -> None:
    """In 64 frames there are 29, 13, 5 and 1 windows; the first frame is in the first of each."""
    impulse = np.zeros((64, 1))
    impulse[0] = 2.0
    wanted = np.mean([4 / 8 / 29, 4 / 16 / 13, 4 / 32 / 5, 4 / 64])
    assert metrics.mste(impulse, 0 * impulse) == pytest.approx(wanted)


def test_half_as_loud_by_hand() -> None:
    """||Y - Y/2|| / ||Y|| = 1/2, |ln Y - ln Y/2| = ln 2, at every resolution."""
    y = np.random.default_rng(1).standard_normal((4000, 2))
    found = metrics.multi_resolution_stft(y, y / 2)
    assert found == pytest.approx(0.5 + np.log(2), rel=1e-6)


def test_what_is_too_short_has_no_figure() -> None:
    assert metrics.mste(np.ones((63, 1)), np.ones((63, 1))) is None
    assert metrics.mste(np.ones((64, 1)), np.ones((64, 1))) == 0
    assert metrics.multi_resolution_stft(np.ones((1024, 1)), np.ones((1024, 1))) is None
    assert metrics.multi_resolution_stft(np.ones((1025, 1)), np.ones((1025, 1))) == 0


@pytest.mark.parametrize("metric", [metrics.l1, metrics.esr, metrics.mste, gain_error])
def test_shapes_must_be_the_same(metric: Any) -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        metric(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="not empty"):
        metric(np.zeros((0, 2)), np.zeros((0, 2)))


# By loops that are plainly the formula ------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(pair=PAIRS)
def test_mste_is_its_formula(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, y_hat = (x.astype(np.float64) for x in pair)
    means = []
    for frames in (8, 16, 32, 64):
        differences = [
            abs(np.sum(y[at : at + frames, c] ** 2) - np.sum(y_hat[at : at + frames, c] ** 2))
            for at in range(0, len(y) - frames + 1, frames // 4)
            for c in range(y.shape[1])
        ]
        means.append(np.mean(differences) / frames)
    assert metrics.mste(*pair) == pytest.approx(np.mean(means), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(pair=PAIRS)
def test_the_prefilter_is_its_recursion(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, last_x, last_y, wanted = pair[0], 0.0, 0.0, []
    for now in x[:, 0].astype(np.float64):
        last_y = now - last_x + 0.995 * last_y
        last_x = now
        wanted.append(last_y)
    assert np.allclose(prefiltered(x)[:, 0], wanted, rtol=1e-9, atol=1e-12)
    whole, blocks = prefiltered(x), Prefilter(x.shape[1])
    parts = np.concatenate([blocks.process(x[:17]), blocks.process(x[17:])])
    assert np.allclose(parts, whole, rtol=1e-12, atol=0)
    y_hat = pair[1].astype(np.float64)
    off = metrics.l1(x, y_hat, prefilter=True)
    assert off == pytest.approx(metrics.l1(whole, prefiltered(y_hat)), abs=1e-12)
    if np.sum(whole**2) > 1e-6:
        ratio = metrics.esr(x, y_hat, prefilter=True)
        assert ratio == pytest.approx(metrics.esr(whole, prefiltered(y_hat)), rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(pair=PAIRS, scale=st.floats(0.1, 10))
def test_what_must_hold_of_every_signal(pair: tuple[np.ndarray, np.ndarray], scale: float) -> None:
    """Nothing is off by nothing; the ratios do not depend on the level; channels have no order."""
    y, y_hat = (x.astype(np.float64) for x in pair)
    for metric in (metrics.l1, metrics.mste):
        assert metric(y, y) == 0
        assert metric(y, y_hat) == pytest.approx(metric(y[:, ::-1], y_hat[:, ::-1]), abs=1e-12)
    if np.sum(y**2) > 1e-6:
        assert metrics.esr(y, y) == 0
        assert metrics.esr(scale * y, scale * y_hat) == pytest.approx(metrics.esr(y, y_hat))


# By other programs --------------------------------------------------------------------------------


def spectra(x: np.ndarray, size: int, hop: int, window: int) -> np.ndarray:
    """Magnitudes (channels, bins, positions) by scipy.signal.stft, as torch.stft frames them."""
    ends = ((size // 2, size // 2), (0, 0))
    padded = np.pad(x, ends, "reflect")[(size - window) // 2 :]
    padded = padded[: len(padded) - (size - window) // 2]
    _, _, found = scipy.signal.stft(
        padded, 1.0, "hann", window, window - hop, size, boundary=None, padded=False, axis=0
    )
    found = found * scipy.signal.get_window("hann", window).sum()  # stft divides by it
    return np.sqrt(np.maximum(np.abs(found) ** 2, 1e-8))


def by_scipy(y: np.ndarray, y_hat: np.ndarray) -> float:
    losses = []
    for size, hop, window in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
        true, said = (spectra(x, size, hop, window) for x in (y, y_hat))
        off = np.sqrt(np.sum((true - said) ** 2)) / np.sqrt(np.sum(true**2))
        losses.append(off + np.mean(np.abs(np.log(true) - np.log(said))))
    return float(np.mean(losses))


@pytest.mark.parametrize("frames", [1025, 3000, 44100])
@pytest.mark.parametrize("case", ["noise", "tone", "quiet"])
def test_the_stft_is_scipys(case: str, frames: int) -> None:
    random = np.random.default_rng(frames)
    y = {
        "noise": random.standard_normal((frames, 2)),
        "tone": np.sin(np.arange(2 * frames).reshape(-1, 2) / 7),
        "quiet": 1e-5 * random.standard_normal((frames, 2)),  # most bins are at the floor
    }[case]
    y_hat = 0.8 * y + 0.1 * np.roll(y, 3, axis=0)
    assert metrics.multi_resolution_stft(y, y_hat) == pytest.approx(by_scipy(y, y_hat), rel=1e-9)


def test_a_long_signal_is_worked_off_in_pieces() -> None:
    """The figures are those of the whole, worked out at once."""
    frames = 3 * PIECE + 12_345
    y = np.random.default_rng(0).standard_normal((frames, 1))
    y_hat = np.clip(y, -1, 1)
    assert metrics.multi_resolution_stft(y, y_hat) == pytest.approx(by_scipy(y, y_hat), rel=1e-9)
    off, filtered = y - y_hat, prefiltered(y)
    assert metrics.l1(y, y_hat) == pytest.approx(np.mean(np.abs(off)), rel=1e-9)
    assert metrics.esr(y, y_hat) == pytest.approx(np.sum(off**2) / np.sum(y**2), rel=1e-9)
    wanted = np.sum(prefiltered(off) ** 2) / np.sum(filtered**2)
    assert metrics.esr(y, y_hat, prefilter=True) == pytest.approx(wanted, rel=1e-9)
    summed = np.concatenate([[0.0], np.cumsum(y[:, 0] ** 2 - y_hat[:, 0] ** 2)])
    wanted = [np.mean(np.abs(summed[n:] - summed[:-n])[:: n // 4]) / n for n in (8, 16, 32, 64)]
    assert metrics.mste(y, y_hat) == pytest.approx(np.mean(wanted), rel=1e-9)
    found = gain_error(y[:, 0], y_hat[:, 0])
    assert found.l1_db == pytest.approx(np.mean(np.abs(off)), rel=1e-9)
    assert found.rms_db == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-9)
    assert found.peak_db == np.max(np.abs(off))
    assert found.bias_db == pytest.approx(-np.mean(off), rel=1e-6)
