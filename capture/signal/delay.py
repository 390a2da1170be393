"""How late a signal comes back: whole frames, the fraction, the polarity, and how sure that is.

Method (FACTS: band-limited phase transform; the generalised cross-correlation of Knapp and
Carter 1976 with PHAT weighting). With X and Y the spectra of what was sent and what came back,

    G(f) = W(f) Y(f) X*(f) / |Y(f) X*(f)|

keeps the phase and throws the magnitude away, so that neither the spectrum of the signal nor the
gain of the unit counts. W is a raised-cosine band. A pure delay of d frames makes G = W e^{-jwd},
whose inverse transform peaks at d; its sign is the polarity. The maximum of

    C(t) = Re sum_k G_k e^{j w_k t}

is then found between the frames by Newton's method. 'The delay' of a system that is not a pure
delay depends on the band, so the band is part of the result.

Uncertainty: from what is left of G after the delay is taken out, bin by bin, as noise is not alike
at all frequencies: var(t) = sum (w Im G)^2 / (sum w^2 Re G)^2.

A peak at the edge of the search, or one that does not stand out of the rest, is not a delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed

ALGORITHM_VERSION = "delay-1"
Signal = NDArray[np.float64]

LOW_HZ = 300.0
HIGH_HZ = 16_000.0
EDGE_HZ = 200.0
PROBE_PEAK_DBFS = -46.0
PROBE_SWEEP_S = 0.25
MAX_LATENCY_S = 1.0
PROBE_PEAK_TO_RMS = 20.0
OUTSIDE = 1.5
"""A peak that is so much higher and not within the search makes the one within a side lobe."""


@dataclass(frozen=True, slots=True)
class Delay:
    """``frames``: how much later ``received`` is than ``sent``; positive is later.

    ``uncertainty_frames`` is one standard deviation. ``inverted`` is true where the polarity is
    turned. ``peak_to_rms`` says how far the peak stands out of the correlation's rest.
    """

    frames: float
    uncertainty_frames: float
    inverted: bool
    peak_to_rms: float
    low_hz: float
    high_hz: float


def estimate(
    sent: Signal,
    received: Signal,
    sample_rate_hz: int,
    earliest: int,
    latest: int,
    least_peak_to_rms: float,
    whitening: float = 1.0,
) -> Delay:
    """The delay of ``received`` against ``sent``, both shape (frames,), any scale.

    Searched from ``earliest`` to ``latest`` frames, both included. ``whitening`` is the power to
    which the magnitude is divided out: 1 is the phase transform, 0 plain correlation.

    Raises:
        MeasurementFailed: nothing came back, the peak lies at the edge of the search or outside
            it, or it stands out of the rest by less than ``least_peak_to_rms``.
    """
    size = 1 << (len(sent) + len(received) - 1).bit_length()
    cross = np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size))
    magnitude = np.abs(cross)
    if not np.any(received) or not np.any(magnitude):
        raise MeasurementFailed("nothing came back: the return is silent or not connected")
    frequency_hz = np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate_hz / size)
    high_hz = min(HIGH_HZ, 0.4 * sample_rate_hz)
    # Bins far below the strongest hold noise only; their phase says nothing.
    heard = magnitude > 1e-7 * magnitude.max()
    weight = _band(frequency_hz, high_hz) * heard
    phases = weight * cross / np.maximum(magnitude, np.finfo(float).tiny) ** whitening
    correlation = np.fft.irfft(phases, size)
    lags = np.arange(earliest, latest + 1)
    searched = correlation[lags]  # negative lags wrap, as the transform does
    best = int(np.argmax(np.abs(searched)))
    rms = float(np.sqrt(np.mean(correlation**2)))
    peak_to_rms = float(abs(searched[best])) / rms if rms else 0.0
    if peak_to_rms >= least_peak_to_rms and best in (0, len(lags) - 1):
        raise MeasurementFailed(
            f"the delay lies at the edge of the search ({lags[best]} of {earliest} to {latest} "
            "frames): it may be longer"
        )
    highest = int(np.argmax(np.abs(correlation)))
    if abs(correlation[highest]) > max(OUTSIDE * abs(searched[best]), least_peak_to_rms * rms):
        lag = highest if highest < size // 2 else highest - size
        raise MeasurementFailed(
            f"the delay, {lag} frames, lies outside the search ({earliest} to {latest} frames)"
        )
    if peak_to_rms < least_peak_to_rms:
        raise MeasurementFailed(
            "what came back does not resemble what was sent (correlation peak "
            f"{peak_to_rms:.1f} times its rms; at least {least_peak_to_rms:g} is needed)"
        )
    inverted = bool(searched[best] < 0)
    omega = 2 * np.pi * np.arange(len(phases)) / size
    aligned = phases * np.exp(1j * omega * float(lags[best])) * (-1 if inverted else 1)
    fraction, uncertainty = _refine(aligned, omega)
    # Zero-padding interpolates the spectrum: neighbouring bins are not independent.
    uncertainty *= float(np.sqrt(size / len(received)))
    return Delay(
        frames=float(lags[best]) + fraction,
        uncertainty_frames=uncertainty,
        inverted=inverted,
        peak_to_rms=peak_to_rms,
        low_hz=LOW_HZ,
        high_hz=high_hz,
    )


def probe(sample_rate_hz: int) -> Signal:
    """The latency probe, shape (frames, 2), full scale 1: a sweep on the left, then on the right.

    Exponential sweeps (Farina 2000) from 100 Hz to 0.42 of the rate, too quiet to work a
    compressor with a threshold above -40 dBFS, each followed by silence as long as the longest
    latency that is looked for.
    """
    one_sweep = sweep(sample_rate_hz, PROBE_SWEEP_S, PROBE_PEAK_DBFS, 0.005)
    gap = np.zeros(round(MAX_LATENCY_S * sample_rate_hz))
    one = np.concatenate([one_sweep, gap])
    rest = np.zeros(len(one))
    return np.stack([np.concatenate([one, rest]), np.concatenate([rest, one])], axis=1)


def sweep(sample_rate_hz: int, length_s: float, peak_dbfs: float, fade_s: float) -> Signal:
    """An exponential sweep (Farina 2000), shape (frames,), full scale 1.

    From 100 Hz to 0.42 of the rate; its ends are faded over ``fade_s`` each, to a sample of 0.
    """
    time_s = np.arange(round(length_s * sample_rate_hz)) / sample_rate_hz
    ratio = np.log(0.42 * sample_rate_hz / 100.0)
    phase = 2 * np.pi * 100.0 * length_s / ratio * np.expm1(time_s / length_s * ratio)
    fade = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / fade_s)
    return 10 ** (peak_dbfs / 20) * np.sin(phase) * fade


def from_probe(sent: Signal, received: Signal, sample_rate_hz: int) -> Delay:
    """One channel's delay, from that channel of the probe and what came back of it.

    Raises MeasurementFailed; the search is from 0 to ``MAX_LATENCY_S``.
    """
    latest = round(MAX_LATENCY_S * sample_rate_hz)
    return estimate(sent, received, sample_rate_hz, -1, latest, PROBE_PEAK_TO_RMS)


def _band(frequency_hz: NDArray[np.floating], high_hz: float) -> Signal:
    """Raised-cosine band from ``LOW_HZ`` to ``high_hz``, 0 to 1."""
    low_edge = LOW_HZ + EDGE_HZ
    high_edge = high_hz - 5 * EDGE_HZ
    rise = np.clip((frequency_hz - LOW_HZ) / (low_edge - LOW_HZ), 0, 1)
    fall = np.clip((high_hz - frequency_hz) / (high_hz - high_edge), 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def _refine(aligned: NDArray[np.complex128], omega: Signal) -> tuple[float, float]:
    """The fraction that is left in ``aligned``, within +-1 frame, and its standard deviation."""
    fraction = 0.0
    for _ in range(20):
        turned = aligned * np.exp(1j * omega * fraction)
        slope = -float(np.sum(omega * turned.imag))
        curvature = -float(np.sum(omega**2 * turned.real))
        if curvature >= 0:
            break
        step = float(np.clip(-slope / curvature, -0.25, 0.25))
        fraction = float(np.clip(fraction + step, -1.0, 1.0))
        if abs(step) < 1e-9:
            break
    turned = omega * aligned * np.exp(1j * omega * fraction)
    return fraction, float(np.linalg.norm(turned.imag) / abs(np.sum(omega * turned.real)))
