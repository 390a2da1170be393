"""The pilot: a cable from the left send to an input proves every frame of a take.

What the loopback input records must be what was sent, through a filter that does not change:

    y = h * x + a * (integral of x) + noise

h is 64 taps around the cable's whole-frame delay (gain, polarity, fraction, converters), a the
first order of an AC coupling. Both are fitted to the marker that precedes the song (ridge
regression; the noise and the ridge from the fit itself). Everything is compared within a band,
roughly 300 Hz to 0.38 of the rate, by an FIR D: below it hum and coupling are, above it the
marker is silent. D has a fourfold zero at 0 Hz, so its running sum is an FIR too, and
the integral needs no memory of its own.

Then, in blocks of 256 frames, with r = D * (y - h * x - ...), p = D * h * x, q = a's regressor,

    excess = |r|^2 / (noise + EPSILON^2 |p|^2 + what the fit does not know of |p|^2 and |q|^2)

in dB. Where nothing happened it is about 0. A lost or doubled frame leaves r = p(n) - p(n - 1) from
there on; frames that are zeroed, stale or swapped leave themselves. ``proven``: |p(n) - p(n - 1)|^2
is so large that a slip of one frame in this block alone would have passed the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.model import CheckResult
from capture.signal.delay import Signal
from capture.signal.levels import FULL_SCALE
from capture.signal.marker import SEARCH_FRAMES, from_marker

ALGORITHM_VERSION = "pilot-1"
Codes = NDArray[np.int32]

BLOCK_FRAMES = 256
TAPS = 64
HALO = 256
"""Frames on either side of a block that its figures depend on: half of D, half of h, rounded up."""
CHUNK = 126 * BLOCK_FRAMES
"""Frames that are filtered at a time; with a halo on each side, a power of 2."""
EPSILON = 10 ** (-60 / 20)
"""Part of the signal that may be wrong: jitter, distortion, responses longer than h."""
UNSURE = 4.0
"""The fit's own variance counts so many times: two standard deviations."""
FLOOR = 10 ** (-130 / 20)
"""Noise is never taken to be less: two roundings to 24 bits."""
CLEAR_DB = 20.0
"""The marker must stand so far out of what the fit leaves of it."""
COUPLING_HZ = 5.0
"""AC coupling is expected at about this corner or below."""
COUPLING_SURE_HZ = 1.25
"""Hum moves the fit of that corner by up to twice so much."""
SURE_DB = 1.0
"""A slip must pass the limit by so much for a block to be proven: noise may take it away."""


class PilotMeter:
    """Follows the loopback of one take.

    ``sent``: the left channel of the marker, (frames,), full scale 1. ``received``: what the
    loopback recorded, full scale 1, cut as for ``marker.from_marker``: with the same whole-frame
    latency as the blocks that follow. The cable's own latency may differ from it by less than
    ``SEARCH_FRAMES``.
    Feed it the gaps on both sides of the song: the first and last ``HALO`` frames are not judged.

    Raises:
        MeasurementFailed: the loopback does not carry the left send.
    """

    def __init__(self, sent: Signal, received: Signal, sample_rate_hz: int) -> None:
        try:
            whole = round(from_marker(sent, received, sample_rate_hz).frames)
        except MeasurementFailed as error:
            raise MeasurementFailed(
                f"the loopback input does not carry the left send: {error}",
                "check its cable, or take loopback out of the rig's inputs",
            ) from None
        self._fit = _fit(sent, received, whole, sample_rate_hz)
        # The song is held against the loopback ``whole`` frames later: x before it is silence.
        self._x, self._y = np.zeros(max(0, whole)), np.zeros(0)
        self._drop = max(0, -whole)
        self._excess: list[NDArray[np.float32]] = []
        self._slip: list[NDArray[np.float32]] = []

    def add(self, sent_left: Codes, loopback: Codes) -> None:
        """Consecutive frames, (frames,) each, left-justified codes; blocks of any size.

        Keeps 8 bytes for each 256 frames: 5 MB for an hour at 44.1 kHz.
        """
        dropped = min(self._drop, len(sent_left))
        self._drop -= dropped
        self._x = np.concatenate([self._x, sent_left[dropped:] / FULL_SCALE])
        self._y = np.concatenate([self._y, loopback / FULL_SCALE])
        at = 0
        while min(len(self._x), len(self._y)) - at >= CHUNK + 2 * HALO:
            self._judge(at, CHUNK)
            at += CHUNK
        self._x, self._y = self._x[at:], self._y[at:]

    def verdict(self, limit: float) -> CheckResult:
        """``pilot_db``: the excess of the worst block in dB; fails above ``limit`` dB.

        Unverified where no block is proven: a slip lasts, so one block that is shows it. Call it
        after the last block.
        """
        excess, slip = self._blocks()
        if not len(excess):
            return CheckResult("pilot_db", None, limit, "unverified")
        worst = float(excess.max())
        if worst > limit:
            return CheckResult("pilot_db", worst, limit, "fail")
        proven = np.any(slip > limit + SURE_DB)
        return CheckResult("pilot_db", worst, limit, "pass" if proven else "unverified")

    def _blocks(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Excess and that of a slip, in dB, of all blocks; judges what has been waiting."""
        left = min(len(self._x), len(self._y)) - 2 * HALO
        if left >= BLOCK_FRAMES:
            count = left - left % BLOCK_FRAMES
            self._judge(0, count)
            self._x, self._y = self._x[count:], self._y[count:]
        self._excess, self._slip = (
            [np.concatenate([np.zeros(0, np.float32), *part])]
            for part in (self._excess, self._slip)
        )
        return self._excess[0], self._slip[0]

    def _judge(self, at: int, count: int) -> None:
        """``count`` frames (whole blocks, up to CHUNK) from ``at + HALO`` of what is waiting."""
        part = slice(at, at + count + 2 * HALO)
        residual, expected = self._fit.traces(self._x[part], self._y[part])
        kept = slice(HALO, HALO + count)
        slip = _powers(np.diff(expected[0])[HALO - 1 : HALO - 1 + count])
        allowed = self._fit.allowed(*(_powers_around(trace, count) for trace in expected))
        decibels = 10 * np.log10(
            np.maximum(np.stack([_powers(residual[kept]), slip + allowed]) / allowed, 1e-12)
        )
        self._excess.append(decibels[0].astype(np.float32))
        self._slip.append(decibels[1].astype(np.float32))


def _powers(trace: Signal) -> Signal:
    """Mean square of each block."""
    blocks = trace.reshape(-1, BLOCK_FRAMES)
    return np.einsum("bn,bn->b", blocks, blocks) / BLOCK_FRAMES


def _powers_around(trace: Signal, count: int) -> Signal:
    """Energy of each block and TAPS frames on either side, per frame of the block: what the fit
    does not know of a loud beat is heard so far before and after it."""
    energy = np.cumsum(trace**2)
    starts = np.arange(HALO, HALO + count, BLOCK_FRAMES)
    return (energy[starts + BLOCK_FRAMES + TAPS - 1] - energy[starts - TAPS - 1]) / BLOCK_FRAMES


@dataclass(frozen=True, slots=True)
class _Fit:
    """The cable: what was fitted, and how well it is known.

    ``noise``: power of the noise within the band. ``unsure``: the variance of h * x as a share of
    the power of x. ``integral``, ``unsure_integral``: a, in 1/frames, and its variance.
    ``spectra``: of D, D * h and D * integral, (3, bins), for ``CHUNK + 2 HALO`` frames.
    """

    noise: float
    unsure: float
    unsure_integral: float
    spectra: NDArray[np.complex128]
    integral: float

    def traces(self, x: Signal, y: Signal) -> tuple[Signal, tuple[Signal, Signal]]:
        """Residual, and (p, q), each as long as x; wrong within a halo of either end."""
        size = CHUNK + 2 * HALO
        band, response, integral = self.spectra
        sent, received = np.fft.rfft(x, size), np.fft.rfft(y, size)
        through, summed = response * sent, integral * sent
        residual = band * received - through - self.integral * summed
        whole: Signal = np.fft.irfft(np.stack([residual, through, summed]), size)[:, : len(x)]
        return whole[0], (whole[1], whole[2])

    def allowed(self, power: Signal, integral: Signal) -> Signal:
        """The residual's power that is expected, at most, of blocks of such p and q."""
        relative = EPSILON**2 + UNSURE * self.unsure
        return self.noise + relative * power + UNSURE * self.unsure_integral * integral


def _fit(sent: Signal, received: Signal, whole: int, sample_rate_hz: int) -> _Fit:
    """Fits the cable to the marker. Raises MeasurementFailed."""
    band = _band_taps()
    pad = len(band) // 2 + TAPS // 2 + SEARCH_FRAMES
    silence = np.zeros(SEARCH_FRAMES + pad)
    x = np.concatenate([silence, sent, silence])
    target = np.convolve(received, band, "valid")
    # Row n belongs to frame len(band) // 2 + n of ``received``.
    first = pad - whole
    heard = np.convolve(x, band, "valid")[first - TAPS // 2 + 1 :][: len(target) + TAPS - 1]
    summed = np.convolve(x, np.cumsum(band), "valid")[first:][: len(target)]
    columns = np.column_stack([sliding_window_view(heard, TAPS)[:, ::-1], summed])
    coupling = 2 * np.pi * COUPLING_HZ / sample_rate_hz
    answer, covariance, noise = _ridge(columns, target, np.array([1.0] * TAPS + [coupling]))
    power = float(np.mean(target**2))
    if power < noise * 10 ** (CLEAR_DB / 10):
        raise MeasurementFailed(
            "the loopback input does not carry the left send: the fit to the marker leaves "
            f"{10 * np.log10(noise / power):.0f} dB of it; at most {-CLEAR_DB:g} dB is allowed",
            "check its cable, or take loopback out of the rig's inputs",
        )
    # What white noise through D makes of the taps' uncertainty.
    alike = np.correlate(band, band, "full")[len(band) - 1 :][:TAPS]
    lags = np.abs(np.subtract.outer(np.arange(TAPS), np.arange(TAPS)))
    unsure = float(np.sum(covariance[:TAPS, :TAPS] * alike[lags])) / float(alike[0])
    response = np.convolve(band, answer[:TAPS])
    filters = [(band, 0), (response, TAPS // 2), (np.cumsum(band), 0)]
    return _Fit(
        noise=noise,
        unsure=unsure,
        unsure_integral=float(covariance[TAPS, TAPS])
        + (coupling * COUPLING_SURE_HZ / COUPLING_HZ) ** 2,
        spectra=np.stack([_spectrum(taps, len(band) // 2 + shift) for taps, shift in filters]),
        integral=float(answer[TAPS]),
    )


def _ridge(columns: Signal, target: Signal, expected: Signal) -> tuple[Signal, Signal, float]:
    """Weights of ``columns`` that make ``target``, their covariance, and the power of what is left.

    ``expected``: the standard deviation of each weight before anything is known. Weight and noise
    depend on each other: three turns, of which the last one changes nothing that can be seen.
    """
    products, wanted = columns.T @ columns, columns.T @ target
    answer, covariance, noise = np.zeros(len(wanted)), np.diag(expected**2), FLOOR**2
    for _ in range(3):
        inverse = np.asarray(np.linalg.inv(products + np.diag(noise / expected**2)), np.float64)
        answer, covariance = inverse @ wanted, inverse * noise
        left = target - columns @ answer
        known = float(np.sum(1 - np.diag(covariance) / expected**2))
        noise = max(FLOOR**2, float(left @ left) / (len(target) - known))
    return answer, covariance, noise


def _spectrum(taps: Signal, centre: int) -> NDArray[np.complex128]:
    """Spectrum of ``taps`` with tap ``centre`` at frame 0."""
    frames = np.zeros(CHUNK + 2 * HALO)
    frames[: len(taps)] = taps
    return np.fft.rfft(np.roll(frames, -centre))


def _band_taps() -> Signal:
    """D, 321 taps, symmetric: twice 1 less a moving Hann window, and a Kaiser low-pass."""
    window = np.hanning(131)[1:-1]
    high = -window / float(np.sum(window))
    high[64] += 1
    time = np.arange(-32, 33)
    low = 0.76 * np.sinc(0.76 * time) * np.kaiser(65, 8.0)
    return np.convolve(np.convolve(high, high), low / float(np.sum(low)))
