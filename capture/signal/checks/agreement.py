"""Audio against CV: what song and CV leave unexplained of the recording, and where.

All from ``prediction.py``: e is what is left of the recording, q what was predicted, in pieces of
256 frames.

* audio_cv_db    energy of e against that of the recording, in dB, over the take; the noise that is
                 there in the quietest pieces is taken out first. Unverified where noise is all.
* burst_db       e against what is expected of e there, in dB: the median of 12 pieces (70 ms), the
                 highest in the take. Expected is noise + share x |q|^2 in the piece and its
                 neighbours; both are learnt from the take, as what most pieces stay below.
* click_db       the same of single pieces, against their neighbours' neighbours as well: what is
                 there for one or two pieces only. A fast attack is such an event, so it must be
                 loud.
* crosstalk_db   the share of the other channel's prediction in e, in dB, by least squares; the
                 part of it that is like the own channel is taken out first. Unverified where the
                 song is mono.
* cv_delay_frames  by how much later the CV is in this take than it was calibrated, both against
                 the song: the median of the windows of 65536 frames that are sure of it. A CV that
                 is recorded apart from the audio, or had slipped before the take began.
* cv_lag_frames  by how much the CV's delay in one window is off that median; the furthest of the
                 windows that are sure of it. A CV that slips within the take.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from capture.model import CheckLimits, CheckResult
from capture.signal.checks import judge
from capture.signal.checks.path import Doubles
from capture.signal.checks.prediction import PIECE_FRAMES, Compared

BURST_PIECES = 12
FLOOR = 10 ** (-105 / 10)
"""Noise of a piece is never taken to be less: mean square in the band."""
LEAST_SHARE = 10 ** (-60 / 10)
MOST = 0.9
"""Expected is what so many of the pieces stay below."""
ALIKE = 1e-3
"""Channels that differ by less than this share of their power are mono."""
UNSURE_SHARE = 0.003
"""A tenth of the crosstalk that fails: a share whose own deviation is larger is not believed. Real
errors are not white: a factor of ten is nothing."""
SURE_SHARE = 0.008
"""A quarter of it: nor is one that deviates so much by what it does from grain to grain."""
CLEAR = 300.0
"""The recording must have so many times the noise's energy for a residual to mean much."""
NOISE_SPREAD = 1.5
"""The quietest pieces have less than the mean of the noise."""
SURE_LAG_FRAMES = 0.05


def verdicts(
    found: Compared, cv_delay_frames: float | None, limits: CheckLimits
) -> tuple[CheckResult, ...]:
    """``cv_delay_frames``: the calibrated delay of the CV against the song; None is not known."""
    burst, click = _events(found)
    crosstalk = _crosstalk(found)
    delay, lag = _delay_and_lag(found.delays)
    late = None if delay is None or cv_delay_frames is None else delay - cv_delay_frames
    return (
        judge.above("audio_cv_db", _residual(found), limits.audio_cv_db, limits.audio_cv_warn_db),
        judge.above("burst_db", burst, limits.burst_db, limits.burst_warn_db),
        judge.above("click_db", click, limits.click_db, limits.click_warn_db),
        judge.above("crosstalk_db", crosstalk, limits.crosstalk_db, limits.crosstalk_warn_db),
        judge.off("cv_delay_frames", late, limits.cv_delay_frames, limits.cv_delay_warn_frames),
        judge.above("cv_lag_frames", lag, limits.cv_lag_frames, limits.cv_lag_warn_frames),
    )


def _residual(found: Compared) -> float | None:
    error, predicted = found.error, found.predicted
    if error.shape[1] < BURST_PIECES:
        return None
    noise = found.noise * error.shape[1]
    whole = float((error + predicted).sum())
    if whole <= CLEAR * float(noise.sum()) or whole <= 0:
        return None
    left = float(np.maximum(error.sum(axis=1) - NOISE_SPREAD * noise, 0).sum())
    return 10 * math.log10(max(left / whole, 1e-10))


def _expected(error: Doubles, predicted: Doubles) -> Doubles:
    """Of one channel, of each piece: noise + share x the loudest of the pieces around it."""
    around = sliding_window_view(np.pad(predicted, 2), 5).max(axis=1)
    noise = max(float(np.percentile(error, 10)), FLOOR * PIECE_FRAMES)
    loud = (around > 0.01 * around.max()) & (around > 0)
    if not loud.any():
        return np.full(len(error), noise)
    above = np.maximum(error[loud] - noise, 0) / around[loud]
    return noise + max(float(np.quantile(above, MOST)), LEAST_SHARE) * around


def _events(found: Compared) -> tuple[float | None, float | None]:
    """Burst and click in dB, of the channel that shows more."""
    if found.error.shape[1] < 4 * BURST_PIECES:
        return None, None
    bursts: list[float] = []
    clicks: list[float] = []
    for error, predicted in zip(found.error, found.predicted, strict=True):
        excess = error / _expected(error, predicted)
        bursts.append(float(np.median(sliding_window_view(excess, BURST_PIECES), axis=1).max()))
        beside = sliding_window_view(np.pad(excess, 4, mode="edge"), 9)
        usual = np.maximum(np.median(beside, axis=1), 1.0)
        clicks.append(float((excess / usual).max()))
    return 10 * math.log10(max(*bursts, 1e-10)), 10 * math.log10(max(*clicks, 1e-10))


def _crosstalk(found: Compared) -> float | None:
    if not found.error.shape[1]:
        return None
    shares: list[float] = []
    for side, grains in enumerate(found.crosstalk):
        left_other, left_own, both, other, own = grains.sum(axis=1)
        apart = other - both**2 / own if own > 0 else 0.0
        unsure = float(found.error[side].mean()) / (PIECE_FRAMES / 2) if apart > 0 else 0.0
        if apart <= ALIKE * max(other, own) or unsure > (UNSURE_SHARE**2) * apart:
            continue
        share = (left_other - left_own * both / own) / apart
        if _spread_of_share(grains, both / own, share) < SURE_SHARE * apart:
            shares.append(share)
    if not shares:
        return None
    return 20 * math.log10(max(*map(abs, shares), 1e-10))


def _spread_of_share(grains: Doubles, like_own: float, share: float) -> float:
    """The standard deviation of <e, o'>, with o' what of o is not like q, from grain to grain: of a
    song with one loud beat, most of e may lie in that one."""
    left_other, left_own, both, other, own = grains
    alien = left_other - like_own * left_own
    apart = other - 2 * like_own * both + like_own**2 * own
    return float(np.sqrt(np.sum((alien - share * apart) ** 2)))


def _delay_and_lag(delays: Doubles) -> tuple[float | None, float | None]:
    """Of the windows that are sure: their median, and how far off it the furthest is."""
    sure = delays[delays[:, 1] < SURE_LAG_FRAMES, 0]
    if not len(sure):
        return None, None
    median = float(np.median(sure))
    return median, float(np.abs(sure - median).max())
