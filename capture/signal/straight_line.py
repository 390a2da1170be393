"""The straight line through the steps of a staircase: gain of the audio against the CV.

With K = 20 / ln 10, x and y the amplitudes sent and received, V_i the CV as the tone sees it and
R_i what its ripple makes of a third harmonic, step i makes two rows,

    gain_i           = c + b V_i + 3 K (p x_i^2 + q y_i^2)  [+ d t_i]
    third harmonic_i =     b R_i / K +  p x_i^2 + q y_i^2

weighted by the noise, which is measured. p and q: an odd distortion, before the gain cell or behind
it, makes the fundamental louder by three times the third harmonic that it makes (0.3 % are
0.08 dB). All of it is linear. Where the residual is larger than the noise, the covariance grows
with it. d: a repaired CV may have a ramp in it.

A step in which a converter is at full scale is left out. A gain cell or an amplifier that has come
to its end leaves the line: then a single step is left out, or the loudest ones, as few as make the
rest straight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal.staircase import AudioSteps, CvSteps, Probe, Signal, read_cv

K = 20 / math.log(10)
MEAN = 2
"""The column that is the mean of left and right."""
LEAST_STEPS = 6
LINE_DB = 0.02
"""How far a step may be off the line, beyond 4 times its noise."""
MOST_OFF_LINE = 4
"""More steps than these off the line are a curved law, and not an end that was reached."""


@dataclass(frozen=True, slots=True)
class Line:
    """``gain = constant + slope * V``; dB, and V of full scale 1.

    ``covariance``: of (slope, constant), (2, 2). ``residual_db`` and ``noise_db``: of all steps,
    (steps,).
    """

    slope: float
    constant: float
    covariance: Signal
    drift_db_per_s: float
    residual_db: Signal
    noise_db: Signal

    @property
    def slope_variance(self) -> float:
        return float(self.covariance[0, 0])

    def at(self, cv_fs: float) -> tuple[float, float]:
        """The gain at ``cv_fs`` in dB, and its variance."""
        place = np.array([cv_fs, 1.0])
        return self.constant + self.slope * cv_fs, float(place @ self.covariance @ place)


@dataclass(frozen=True, slots=True)
class Stairs:
    """The steps as they were read; ``late``: if the CV were later by its delay's uncertainty.

    ``drifts``: the CV may have a ramp in it.
    """

    probe: Probe
    audio: AudioSteps
    control: CvSteps
    late: CvSteps
    drifts: bool

    @classmethod
    def read(
        cls, probe: Probe, audio: AudioSteps, cv: Signal, late: tuple[float, float], drifts: bool
    ) -> Stairs:
        """``late``: the CV's delay in frames, and its uncertainty."""
        control, later = (read_cv(probe, cv, audio, frames) for frames in (late[0], sum(late)))
        return cls(probe, audio, control, later, drifts)

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.array([fault is None for fault in self.audio.faults])

    def line(self, used: NDArray[np.bool_], channel: int) -> Line:
        """The straight line through ``used`` steps of one channel, or of their mean."""
        line = self._line(used, channel, self.control)
        later = self._line(used, channel, self.late)
        turned = np.array([later.slope - line.slope, later.constant - line.constant])
        return replace(line, covariance=line.covariance + np.outer(turned, turned))

    def _line(self, used: NDArray[np.bool_], channel: int, control: CvSteps) -> Line:
        audio = self.audio
        sent, received = audio.sent**2, audio.received[:, channel] ** 2
        power = np.stack([sent / sent.max(), received / received.max()])
        noise, none = audio.noise[:, channel], np.zeros(len(sent))
        time_s = np.array([step.start for step in self.probe.steps]) / self.probe.sample_rate_hz
        v, third = control.weighted[:, channel], control.third[:, channel]
        upper = np.stack([v, none + 1, *(3 * K * power), time_s * self.drifts])
        lower = np.stack([third / K, none, *power, none])
        rows = np.concatenate([upper[:, used], lower[:, used]], axis=1)
        target = np.concatenate([audio.gain_db[used, channel], audio.third[used, channel]])
        # The CV's noise counts by the slope: a first turn without it.
        answer, _ = _weighted(rows, target, np.concatenate([K * noise[used], noise[used]]))
        noise_db = np.hypot(K * noise, float(answer[0]) * control.noise)
        answer, covariance = _weighted(rows, target, np.concatenate([noise_db[used], noise[used]]))
        residual_db = audio.gain_db[:, channel] - answer @ upper
        freedom = max(1, int(used.sum()) - 2 - self.drifts)
        excess = float(np.sum((residual_db[used] / noise_db[used]) ** 2)) / freedom
        return Line(
            slope=float(answer[0]),
            constant=float(answer[1]),
            covariance=covariance[:2, :2] * max(1.0, excess),
            drift_db_per_s=float(answer[4]),
            residual_db=residual_db,
            noise_db=noise_db,
        )

    def straight(self, extra: float) -> tuple[Line, NDArray[np.bool_]]:
        """The line through as many steps as lie on one, and which these are.

        ``extra``: variance in dB^2 that each step may have beyond its noise. Raises
        MeasurementFailed where too few do.
        """
        usable = self.usable
        self._require_steps(usable)
        choices = [usable]
        choices += [usable & (np.arange(len(usable)) != one) for one in np.flatnonzero(usable)]
        levels = np.array([step.level_dbfs for step in self.probe.steps])
        choices += [usable & (levels < top) for top in np.unique(levels[usable])[::-1]]
        for number in sorted({int(used.sum()) for used in choices}, reverse=True):
            if number < max(LEAST_STEPS, usable.sum() - MOST_OFF_LINE):
                break
            lines = [(self.line(used, MEAN), used) for used in choices if used.sum() == number]
            line, used = min(lines, key=lambda pair: self._off_db(*pair, extra))
            if self._off_db(line, used, extra) <= LINE_DB:
                return line, used
        worst = self._off_db(self.line(usable, MEAN), usable, extra)
        raise MeasurementFailed(
            f"gain against CV is not a straight line: a step is off by {worst:.2g} dB more than "
            f"noise explains ({LINE_DB:g} dB is allowed), and leaving out up to {MOST_OFF_LINE} "
            "does not help"
        )

    def _require_steps(self, usable: NDArray[np.bool_]) -> None:
        if usable.sum() < LEAST_STEPS:
            faults = sorted({fault for fault in self.audio.faults if fault})
            raise MeasurementFailed(
                f"{usable.sum()} steps are left of {len(usable)}, at least {LEAST_STEPS} are "
                f"needed: {'; '.join(faults)}"
            )

    @staticmethod
    def _off_db(line: Line, used: NDArray[np.bool_], extra: float) -> float:
        """How far the worst of the steps is off the line, beyond its noise."""
        noise_db = np.sqrt(line.noise_db[used] ** 2 + extra)
        return float(np.max(np.abs(line.residual_db[used]) - 4 * noise_db))


def _weighted(rows: Signal, target: Signal, noise: Signal) -> tuple[Signal, Signal]:
    """Weights of ``rows`` (unknowns, points) that make ``target``, and their covariance."""
    columns = rows / noise
    scale = np.maximum(np.linalg.norm(columns, axis=1), np.finfo(float).tiny)
    inverse = np.asarray(np.linalg.pinv((columns / scale[:, None]).T), np.float64) / scale[:, None]
    return inverse @ (target / noise), inverse @ inverse.T
