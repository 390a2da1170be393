"""How far a model's answer is from what was recorded: the figures of the field. Pure.

``y`` is what was recorded and ``y_hat`` what a model says: (frames, channels), full scale 1, of one
shape. ``gain_db`` and ``gain_hat_db`` are (frames,), in dB, negative = attenuation. Sums go over
all frames and all channels together; all arithmetic is in float64. A figure that is not defined (an
ESR of silence, a window longer than the signal) is None, never a NaN and never 0.

Long signals are worked off piece by piece: beside the signals themselves little memory is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

FLOOR_DB = -160.0
"""A gain of less is taken for this: 20 log10 of 1e-8."""
POLE = 0.995
MSTE_WINDOWS = (8, 16, 32, 64)
RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
"""FFT size, hop and window of each, in frames: the defaults of auraloss."""
LEAST_POWER = 1e-8
"""Of a bin of the STFT; below, it is taken for this, as auraloss does."""
PIECE = 1 << 18
"""About so many numbers are worked on at once; a multiple of all windows' hops."""


@dataclass(frozen=True, slots=True)
class GainError:
    """In dB. ``l1_db`` mean absolute, ``rms_db`` root mean square, ``peak_db`` largest absolute
    error; ``bias_db`` the mean error, positive where the model attenuates too little."""

    l1_db: float
    rms_db: float
    peak_db: float
    bias_db: float


def gain_error(gain_db: Signal, gain_hat_db: Signal) -> GainError:
    """Of d = max(gain_hat_db, -160) - gain_db over all frames (at least one).

    l1 = mean |d|, rms = sqrt(mean d^2), peak = max |d|, bias = mean d. The floor is that of
    20 log10(max(g_hat, 1e-8)). Make-up must be in both or in neither.
    Source: arXiv 2606.18573 reports l1 as 'mean absolute gain error'.
    """
    _same(gain_db, gain_hat_db)
    l1_db = power = peak_db = bias_db = 0.0
    for at in range(0, len(gain_db), PIECE):
        said = gain_hat_db[at : at + PIECE].astype(np.float64)
        error = np.maximum(said, FLOOR_DB) - gain_db[at : at + PIECE]
        l1_db += float(np.sum(np.abs(error)))
        power += float(np.sum(error**2))
        peak_db = max(peak_db, float(np.max(np.abs(error))))
        bias_db += float(np.sum(error))
    count = len(gain_db)
    return GainError(l1_db / count, float(np.sqrt(power / count)), peak_db, bias_db / count)


def l1(y: Signal, y_hat: Signal, *, prefilter: bool = False) -> float:
    """mean |y - y_hat|, in full scales: the mean absolute error of the waveform.

    ``prefilter``: both signals go through ``Prefilter`` first.
    """
    _same(y, y_hat)
    return sum(float(np.sum(np.abs(off))) for _, off in _errors(y, y_hat, prefilter)) / y.size


def esr(y: Signal, y_hat: Signal, *, prefilter: bool = False) -> float | None:
    """sum (y - y_hat)^2 / sum y^2: the error-to-signal ratio; None where y is silent.

    ``prefilter``: both signals go through ``Prefilter`` first.
    Source: Wright and Valimaki, 'Perceptual loss function for neural modelling of audio systems',
    ICASSP 2020 (arXiv 1911.08922), there behind another pre-emphasis.
    """
    _same(y, y_hat)
    error = signal = 0.0
    for true, off in _errors(y, y_hat, prefilter):
        error += float(np.sum(off**2))
        signal += float(np.sum(true**2))
    return error / signal if signal else None


class Prefilter:
    """(1 - z^-1) / (1 - 0.995 z^-1), from rest, along the frames: blocks in, blocks out.

    It takes off DC and what is near it; at 44.1 kHz its corner is 35 Hz.
    """

    def __init__(self, channels: int) -> None:
        self._state = np.zeros((1, channels))

    def process(self, x: Signal) -> Floats:
        """The next block (frames, channels)."""
        import scipy.signal

        wide, ratio = x.astype(np.float64), ([1.0, -1.0], [1.0, -POLE])
        answer, self._state = cast(Any, scipy.signal).lfilter(*ratio, wide, 0, self._state)
        return cast(Floats, answer)


def _errors(y: Signal, y_hat: Signal, prefilter: bool) -> Iterator[tuple[Floats, Floats]]:
    """y and y - y_hat, piece by piece."""
    filters = [Prefilter(y.shape[1]) for _ in (y, y_hat)] if prefilter else None
    for at in range(0, len(y), PIECE):
        true, said = (x[at : at + PIECE].astype(np.float64) for x in (y, y_hat))
        if filters:
            true, said = filters[0].process(true), filters[1].process(said)
        yield true, true - said


def mste(y: Signal, y_hat: Signal) -> float | None:
    """Mean over N = 8, 16, 32, 64 of: mean over windows of |E_y - E_y_hat| / N.

    E is the sum of squares in a window of N frames; windows are N / 4 apart (75 % overlap), start
    at frame 0, and are all whole. What remains behind the last one is left out. None if there are
    fewer than 64 frames. In full scales squared; blind to polarity.
    Source: read second-hand; no other implementation was found.
    """
    _same(y, y_hat)
    if len(y) < max(MSTE_WINDOWS):
        return None
    return float(np.mean([_window_energy(y, y_hat, frames) / frames for frames in MSTE_WINDOWS]))


def _window_energy(y: Signal, y_hat: Signal, frames: int) -> float:
    """Mean of |E_y - E_y_hat| over windows of ``frames`` that are a quarter apart."""
    hop, total, count = frames // 4, 0.0, 0
    for at in range(0, len(y) - frames + 1, PIECE):
        part = slice(at, at + PIECE + frames - hop)  # the windows that begin in this piece
        # Energies subtract, so their difference is summed.
        power = y[part].astype(np.float64) ** 2 - y_hat[part].astype(np.float64) ** 2
        whole = power[: len(power) // hop * hop]
        quarters: Floats = whole.reshape(-1, hop, y.shape[1]).sum(axis=1)
        windows: Floats = quarters[:-3] + quarters[1:-2] + quarters[2:-1] + quarters[3:]
        total += float(np.sum(np.abs(windows)))
        count += windows.size
    return total / count


def multi_resolution_stft(y: Signal, y_hat: Signal) -> float | None:
    """Mean over three resolutions of: ||Y - Y_hat|| / ||Y|| + mean |ln Y - ln Y_hat|.

    Y and Y_hat are magnitudes sqrt(max(|STFT|^2, 1e-8)) of all frames, bins and channels, || || is
    the Frobenius norm. FFT 512, 1024, 2048 with hop 50, 120, 240 and a periodic Hann window of 240,
    600, 1200 frames in the middle of the FFT; the signal is continued at both ends by its mirror
    image. None where it is too short for that (1024 frames or fewer).
    Source: Yamamoto, Song and Kim, ICASSP 2020 (arXiv 1910.11480), with the defaults of auraloss
    0.4.0, ``MultiResolutionSTFTLoss`` (Steinmetz and Reiss, DMRN+15, 2020).
    """
    _same(y, y_hat)
    if len(y) <= max(size for size, _, _ in RESOLUTIONS) // 2:
        return None
    return float(np.mean([_stft_loss(y, y_hat, *resolution) for resolution in RESOLUTIONS]))


def _stft_loss(y: Signal, y_hat: Signal, size: int, hop: int, window: int) -> float:
    off = power = log = count = 0.0
    for channel in range(y.shape[1]):
        true_pieces = _magnitudes(y[:, channel], size, hop, window)
        said_pieces = _magnitudes(y_hat[:, channel], size, hop, window)
        for true, said in zip(true_pieces, said_pieces, strict=True):
            off += float(np.sum((true - said) ** 2))
            power += float(np.sum(true**2))
            log += float(np.sum(np.abs(np.log(true / said))))
            count += true.size
    return float(np.sqrt(off / power)) + log / count


def _magnitudes(x: Signal, size: int, hop: int, window: int) -> Iterator[Floats]:
    """sqrt(max(|STFT|^2, 1e-8)) of ``x`` (frames,), some (positions, bins) at a time."""
    before = (size - window) // 2
    shape = np.zeros(size)
    shape[before : before + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    # Where the window is 0 nothing is seen: the middle of the FFT does, as phase does not count.
    shape = shape[before : before + window]
    padded = np.pad(x, size // 2, "reflect")
    positions = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    at_once = PIECE // window
    for first in range(0, len(positions), at_once):
        seen = positions[first : first + at_once, before : before + window] * shape
        bins = np.fft.rfft(seen, size)
        yield np.sqrt(np.maximum(bins.real**2 + bins.imag**2, LEAST_POWER))


def _same(one: Signal, other: Signal) -> None:
    if one.shape != other.shape or not len(one):
        raise ValueError(f"shapes {one.shape} and {other.shape}: must be the same, and not empty")
