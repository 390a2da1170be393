"""All that listens to a take while it is recorded: the meter, and what watches the knobs."""

from __future__ import annotations

from capture.hardware.ports import Samples
from capture.model import CheckLimits, CheckResult
from capture.records import CalibrationRecord, LawRecord
from capture.run.control_voltage import ControlVoltage
from capture.signal.checks import Peaks, TakeMeter
from capture.signal.fingerprint.stretches import Stretches

EARLY_FRAMES = 64
"""The CV may come so much earlier than the audio."""


class Listener:
    """First hears the CV in the silence before the song, then the song, block by block.

    ``cv_before_fs``: the mean of the CV in that silence, full scale 1; None where it says nothing.
    """

    def __init__(self, calibration: CalibrationRecord, law: LawRecord | None, frames: int) -> None:
        rate, gain_law = calibration.sample_rate_hz, calibration.law
        self._calibration, self._law, self._frames = calibration, law, frames
        self._control = ControlVoltage(law, rate)
        self.meter = TakeMeter(rate, gain_law)
        self.stretches = Stretches(rate, frames, gain_law)
        self.cv_before_fs: float | None = None

    @property
    def cv_start_fs(self) -> float | None:
        """Of a CV that is repaired: see ``ControlVoltage``."""
        return self._control.start_fs

    def silence(self, cv: Samples) -> None:
        """The CV (frames,) between the marker before the song and the song."""
        self.cv_before_fs = self._control.silence(cv[:-EARLY_FRAMES])

    def song(self, sent: Samples, output: Samples, cv: Samples) -> Peaks:
        """The next block: ``sent`` and ``output`` (frames, 2), ``cv`` (frames,). Its peaks."""
        voltage = self._control.song(cv)
        self.stretches.add(sent, voltage)
        return self.meter.add(sent, output, voltage)

    def verdicts(self, limits: CheckLimits) -> tuple[CheckResult, ...]:
        """Every check of the music; nothing can be heard any more."""
        left, right = (self._calibration.left_over(name) for name in ("left", "right"))
        return self.meter.verdicts(
            self._frames,
            (left, right),
            limits,
            self._control.rest_fs,
            self.cv_before_fs,
            left + self._law.cv_delay_frames if self._law else None,
        )
