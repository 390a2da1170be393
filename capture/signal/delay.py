"""How late a signal comes back: whole frames, the fraction, the polarity, and how sure that is.

**A probe** (``locate``, ``from_probe``) is known, and what comes back is a*x(n - d) in noise. Then
nothing beats the matched filter: of X and Y, the spectra of what was sent and what came back,

    G(f) = W(f) Y(f) X*(f),    C(t) = Re sum_k G_k e^{j w_k t},    d = argmax |C|

with W a raised-cosine band. In white noise of standard deviation s its error reaches the bound of
Cramer and Rao (Kay 1993, 3.11), var(d) = s^2 / sum_n x'(n)^2: it is the energy times the square of
the frequency that counts. So the sweep dwells at each frequency for a time in proportion to
1 + 1 kHz / f: level where the phase says most about the delay, and pink below 1 kHz, where a level
sweep would be over before it has begun, and where the pilot needs it. (An exponential sweep gives
half of its time to the band below 1.4 kHz: its error is 1.6 times as large.) For a spectrum that is
flat in W this is the phase transform as well; but it is linear in Y, so hum and the other sweep,
which lie outside the band or outside the probe's time, drop out and do not disturb the weights.

The maximum is found between the frames by Newton's method, its sign is the polarity. 'The delay' of
a system that is not a pure delay depends on the frequency. What is found is then the mean of the
phase delay over the band, weighted with w^2 W |X|^2 |H|, H the system's response: 300 Hz to 16 kHz,
and of that mostly the upper half.

Uncertainty: the delayed probe is taken out of what came back; the slope C'(t) of what is left is
noise, the same at every lag that was searched. Its rms over the lags further than ``NEAR_FRAMES``
from the peak, over |C''(d)|, is the standard deviation of d. What lies nearer is the system's own
response, which is no noise.

The gain is what G is to W |X|^2 at that delay, summed over the band about 1 kHz alone: there level
anchors are measured, and a system's response is still flat. Its magnitude counts: a phase of the
system's own takes nothing off it. Its standard deviation is what is left, again, at lags far off.

**Music** (``estimate``) is not so kind: its spectrum is steep and tonal. Knapp and Carter's (1976)
generalised correlation divides the magnitude out of G, wholly (the phase transform) or in part, and
the uncertainty is taken from what is left of its phase, bin by bin:
var(d) = sum (w Im G)^2 / (sum w^2 Re G)^2.

A peak at the edge of the search, or one that does not stand out of the rest, is not a delay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed

ALGORITHM_VERSION = "delay-3"
Signal = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

LOW_HZ = 300.0
HIGH_HZ = 16_000.0
EDGE_HZ = 200.0
GAIN_LOW_HZ = 500.0
GAIN_HIGH_HZ = 2000.0
PINK_BELOW_HZ = 1000.0
"""Below it the sweep's density is that of pink noise, above it that of white."""
PROBE_PEAK_DBFS = -46.0
PROBE_SWEEP_S = 0.4
MAX_LATENCY_S = 1.0
PROBE_PEAK_TO_RMS = 20.0
OUTSIDE = 1.5
"""A peak that is so much higher and not within the search makes the one within a side lobe."""
NEAR_FRAMES = 64
"""The system's own response is not longer than this, on either side of the peak."""
DB = 20 / math.log(10)
SENDS = {"left": 0, "right": 1, "loopback": 0}
"""By input, the side of the probe that it carries; the loopback is a copy of the left send."""


@dataclass(frozen=True, slots=True)
class Delay:
    """``frames``: how much later ``received`` is than ``sent``; positive is later.

    ``uncertainty_frames`` is one standard deviation. ``inverted`` is true where the polarity is
    turned. ``peak_to_rms`` says how far the peak stands out of the correlation's rest. ``gain_db``:
    how much louder ``received`` is than ``sent``, from ``GAIN_LOW_HZ`` to ``GAIN_HIGH_HZ``; None
    where it was not measured.
    """

    frames: float
    uncertainty_frames: float
    inverted: bool
    peak_to_rms: float
    low_hz: float
    high_hz: float
    gain_db: float | None = None
    gain_uncertainty_db: float | None = None


def locate(
    sent: Signal,
    received: Signal,
    sample_rate_hz: int,
    earliest: int,
    latest: int,
    least_peak_to_rms: float,
) -> Delay:
    """The delay of a known probe within a recording, both shape (frames,), any scale.

    Searched from ``earliest`` to ``latest`` frames, both included; delayed by any of these, all of
    ``sent`` that is not silence must lie within ``received``.

    Raises:
        MeasurementFailed: nothing came back, the peak lies at the edge of the search or outside
            it, or it stands out of the rest by less than ``least_peak_to_rms``.
    """
    size = 1 << (len(sent) + len(received) - 1).bit_length()
    probe = np.fft.rfft(sent, size)
    cross = np.fft.rfft(received, size) * np.conj(probe)
    weight = _delay_band(size, sample_rate_hz)
    correlation = np.fft.irfft(weight * cross, size)
    if not np.any(received) or not np.any(correlation):
        raise MeasurementFailed("nothing came back: the return is silent or not connected")
    lags = np.arange(earliest, latest + 1)
    best = int(lags[np.argmax(np.abs(correlation[lags]))])
    omega = 2 * np.pi * np.arange(len(probe)) / size
    aligned = weight * cross * np.exp(1j * omega * float(best))
    sign = -1 if correlation[best] < 0 else 1
    fraction = _refine(sign * aligned, omega)
    # What is left when the probe, as late and as loud as it was found, is taken out.
    energy = weight * np.abs(probe) ** 2
    turn = np.exp(-1j * omega * fraction)
    gain = float(np.sum((aligned * np.conj(turn)).real) / np.sum(energy))
    left = (aligned - gain * energy * turn) * np.exp(-1j * omega * float(best))
    rest = np.fft.irfft(left, size)[lags]
    rms = max(float(np.sqrt(np.mean(rest**2))), np.finfo(float).tiny)
    _require(correlation, best, (earliest, latest), rms, least_peak_to_rms)
    slope = np.fft.irfft(1j * omega * left, size)[lags]
    far = np.abs(lags - best) > NEAR_FRAMES
    band = _band(size, sample_rate_hz, GAIN_LOW_HZ, GAIN_HIGH_HZ)
    heard = max(float(np.abs(np.sum(band * aligned * np.conj(turn)))), np.finfo(float).tiny)
    noise = np.fft.irfft(band * left, size)[lags][far] * size / 2
    curvature = gain * 2 / size * float(np.sum(omega**2 * energy))
    return Delay(
        frames=best + fraction,
        uncertainty_frames=float(np.sqrt(np.mean(slope[far] ** 2))) / abs(curvature),
        inverted=sign < 0,
        peak_to_rms=abs(float(correlation[best])) / rms,
        low_hz=LOW_HZ,
        high_hz=_high_hz(sample_rate_hz),
        gain_db=DB * math.log(heard / float(np.sum(band * energy))),
        gain_uncertainty_db=DB * float(np.sqrt(np.mean(noise**2))) / heard,
    )


def estimate(
    sent: Signal,
    received: Signal,
    sample_rate_hz: int,
    earliest: int,
    latest: int,
    least_peak_to_rms: float,
    whitening: float,
) -> Delay:
    """The delay of ``received`` against ``sent``, windows of music, shape (frames,), any scale.

    Both begin and end at the same frames, and are tapered. Searched from ``earliest`` to ``latest``
    frames, both included. ``whitening`` is the power to which the magnitude is divided out: 1 is
    the phase transform, 0 plain correlation. Raises MeasurementFailed, as ``locate`` does.
    """
    size = 1 << (len(sent) + len(received) - 1).bit_length()
    cross = np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size))
    magnitude = np.abs(cross)
    if not np.any(received) or not np.any(magnitude):
        raise MeasurementFailed("nothing came back: the return is silent or not connected")
    # Bins far below the strongest hold noise only; their phase says nothing.
    weight = _delay_band(size, sample_rate_hz) * (magnitude > 1e-7 * magnitude.max())
    phases = weight * cross / np.maximum(magnitude, np.finfo(float).tiny) ** whitening
    correlation = np.fft.irfft(phases, size)
    lags = np.arange(earliest, latest + 1)
    best = int(lags[np.argmax(np.abs(correlation[lags]))])
    rms = max(float(np.sqrt(np.mean(correlation**2))), np.finfo(float).tiny)
    _require(correlation, best, (earliest, latest), rms, least_peak_to_rms)
    sign = -1 if correlation[best] < 0 else 1
    omega = 2 * np.pi * np.arange(len(phases)) / size
    fraction = _refine(sign * phases * np.exp(1j * omega * float(best)), omega)
    turned = omega * sign * phases * np.exp(1j * omega * (best + fraction))
    uncertainty = float(np.linalg.norm(turned.imag) / abs(np.sum(omega * turned.real)))
    return Delay(
        frames=best + fraction,
        # Zero-padding interpolates the spectrum: neighbouring bins are not independent.
        uncertainty_frames=uncertainty * float(np.sqrt(size / len(received))),
        inverted=sign < 0,
        peak_to_rms=abs(float(correlation[best])) / rms,
        low_hz=LOW_HZ,
        high_hz=_high_hz(sample_rate_hz),
    )


def probe(sample_rate_hz: int, peak_dbfs: float = PROBE_PEAK_DBFS) -> Signal:
    """The latency probe, shape (frames, 2), full scale 1: a sweep on the left, then on the right.

    Each sweep is followed by silence as long as the longest latency that is looked for. At its
    usual peak it is too quiet to work a compressor with a threshold above -40 dBFS; louder, it
    shows what a compressor that works does to the delay.
    """
    one_sweep = sweep(sample_rate_hz, PROBE_SWEEP_S, peak_dbfs, 0.005)
    gap = np.zeros(round(MAX_LATENCY_S * sample_rate_hz))
    one = np.concatenate([one_sweep, gap])
    rest = np.zeros(len(one))
    return np.stack([np.concatenate([one, rest]), np.concatenate([rest, one])], axis=1)


def sweep(sample_rate_hz: int, length_s: float, peak_dbfs: float, fade_s: float) -> Signal:
    """A sweep from 100 Hz to 0.42 of the rate, shape (frames,), full scale 1.

    The time that it dwells at a frequency f is in proportion to 1 + 1 kHz / f. Its ends are faded
    over ``fade_s`` each, to a sample of 0.
    """
    time_s = np.arange(round(length_s * sample_rate_hz)) / sample_rate_hz
    low_hz, top_hz = 100.0, 0.42 * sample_rate_hz
    # t(f) has no inverse in closed form: a table. The phase is 2 pi times the integral of f dt.
    table_hz = np.geomspace(low_hz, top_hz, 4096)
    dwell = table_hz - low_hz + PINK_BELOW_HZ * np.log(table_hz / low_hz)
    scale = length_s / float(dwell[-1])
    now_hz = np.interp(time_s, scale * dwell, table_hz)
    turns = (now_hz**2 - low_hz**2) / 2 + PINK_BELOW_HZ * (now_hz - low_hz)
    phase = 2 * np.pi * scale * turns
    fade = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / fade_s)
    return 10 ** (peak_dbfs / 20) * np.sin(phase) * fade


def from_probe(sent: Signal, received: Signal, sample_rate_hz: int) -> Delay:
    """One channel's delay, from that channel of the probe and what came back of it.

    Raises MeasurementFailed; the search is from 0 to ``MAX_LATENCY_S``.
    """
    latest = round(MAX_LATENCY_S * sample_rate_hz)
    return locate(sent, received, sample_rate_hz, -1, latest, PROBE_PEAK_TO_RMS)


def of_inputs(
    sent: Signal, received: Mapping[str, Signal], sample_rate_hz: int
) -> dict[str, Delay]:
    """The delay of each input, by name: left, right, loopback.

    ``sent``: the probe, (frames, 2). ``received``: what each input recorded of it, (frames,).
    Raises MeasurementFailed with the name of the input in its reason.
    """
    delays: dict[str, Delay] = {}
    for name, column in received.items():
        try:
            delays[name] = from_probe(sent[:, SENDS[name]], column, sample_rate_hz)
        except MeasurementFailed as error:
            raise MeasurementFailed(f"latency of the input {name}: {error}") from None
    return delays


def _require(
    correlation: Signal, best: int, search: tuple[int, int], rms: float, least_peak_to_rms: float
) -> None:
    """Raises MeasurementFailed where the peak at ``best`` is no delay; negative lags wrap."""
    earliest, latest = search
    height = float(abs(correlation[best]))
    if height >= least_peak_to_rms * rms and best in search:
        raise MeasurementFailed(
            f"the delay lies at the edge of the search ({best} of {earliest} to {latest} "
            "frames): it may be longer"
        )
    highest = int(np.argmax(np.abs(correlation)))
    if abs(correlation[highest]) > max(OUTSIDE * height, least_peak_to_rms * rms):
        lag = highest if highest < len(correlation) // 2 else highest - len(correlation)
        raise MeasurementFailed(
            f"the delay, {lag} frames, lies outside the search ({earliest} to {latest} frames)"
        )
    if height < least_peak_to_rms * rms:
        raise MeasurementFailed(
            "what came back does not resemble what was sent (correlation peak "
            f"{height / rms:.1f} times its rms; at least {least_peak_to_rms:g} is needed)"
        )


def _high_hz(sample_rate_hz: int) -> float:
    return min(HIGH_HZ, 0.4 * sample_rate_hz)


def _delay_band(size: int, sample_rate_hz: int) -> Signal:
    """The band of the delay, for ``size`` frames' spectrum."""
    high_hz = _high_hz(sample_rate_hz) - 5 * EDGE_HZ
    return _band(size, sample_rate_hz, LOW_HZ + EDGE_HZ, high_hz)


def _band(size: int, sample_rate_hz: int, low_hz: float, high_hz: float) -> Signal:
    """1 from ``low_hz`` to ``high_hz``, raised cosines to 0 on either side of it."""
    frequency_hz = np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate_hz / size)
    rise = np.clip((frequency_hz - low_hz) / EDGE_HZ + 1, 0, 1)
    fall = np.clip((high_hz - frequency_hz) / (5 * EDGE_HZ) + 1, 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def _refine(aligned: Spectrum, omega: Signal) -> float:
    """The fraction of a frame, within +-1, that is left in ``aligned``."""
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
    return fraction
