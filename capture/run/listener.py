"""All that listens to a take while it is recorded: the meter, and what watches the knobs."""

from __future__ import annotations

from capture.hardware.ports import Samples
from capture.model import GainLaw
from capture.records import LawRecord
from capture.run.control_voltage import ControlVoltage
from capture.signal.checks import Peaks, TakeMeter
from capture.signal.fingerprint.stretches import Stretches


class Listener:
    """First hears the CV in the silence before the song, then the song, block by block.

    ``cv_before_fs``: the mean of the CV in that silence, full scale 1; None where it says nothing.
    """

    def __init__(
        self, sample_rate_hz: int, frames: int, gain_law: GainLaw, law: LawRecord | None
    ) -> None:
        self._control = ControlVoltage(law, sample_rate_hz)
        self.meter = TakeMeter(sample_rate_hz, gain_law)
        self.stretches = Stretches(sample_rate_hz, frames, gain_law)
        self.cv_before_fs: float | None = None

    @property
    def rest_cv_fs(self) -> float | None:
        """The CV of the unit at rest; None where the law was not measured."""
        return self._control.rest_fs

    @property
    def cv_start_fs(self) -> float | None:
        """Of a CV that is repaired: see ``ControlVoltage``."""
        return self._control.start_fs

    def silence(self, cv: Samples) -> None:
        """The CV (frames,) before the song."""
        self.cv_before_fs = self._control.silence(cv)

    def song(self, sent: Samples, output: Samples, cv: Samples) -> Peaks:
        """The next block: ``sent`` and ``output`` (frames, 2), ``cv`` (frames,). Its peaks."""
        voltage = self._control.song(cv)
        self.stretches.add(sent, voltage)
        return self.meter.add(sent, output, voltage)
