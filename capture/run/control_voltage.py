"""The control voltage as its law reads it: as it came, or made good for an AC-coupled input.

The files keep what the converter gave. Only what judges the take sees the repaired voltage.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capture.hardware.ports import Samples
from capture.records import LawRecord
from capture.signal.coupling import Repair
from capture.signal.levels import FULL_SCALE, TOP_CODE, codes_of


class ControlVoltage:
    """One take's: first the silence before the song, then the song, block by block."""

    def __init__(self, law: LawRecord | None, sample_rate_hz: int) -> None:
        self.rest_fs: float | None = None
        """What the law calls rest; None where it was not measured."""
        self.start_fs: float | None = None
        """What the repaired voltage has at frame 0 beyond what is there; None: not repaired."""
        self._repair: Repair | None = None
        self._shift_fs = 0.0
        if law is not None:
            self.rest_fs = -law.law.gain_db_at_zero / law.law.gain_db_per_fs
            if law.corner_hz is not None and law.offset_fs is not None:
                self._repair = Repair(law.corner_hz, law.offset_fs, sample_rate_hz)

    def silence(self, codes: Samples) -> float | None:
        """The mean of the silence before the song (frames,), full scale 1.

        None where nothing can be said: the stream ended, or the input is AC-coupled and so shows
        every rest alike; the repaired voltage counts from this one.
        """
        if not len(codes):
            return None
        volts = codes / FULL_SCALE
        if self._repair is None:
            return float(np.mean(volts))
        self._shift_fs = (self.rest_fs or 0.0) - float(np.mean(self._repair.process(volts)))
        return None

    def probe(self, volts_fs: NDArray[np.float64]) -> NDArray[np.float64]:
        """A recording that begins in silence (frames,), full scale 1, as the law reads it."""
        return volts_fs if self._repair is None else self._repair.process(volts_fs)

    def song(self, codes: Samples) -> Samples:
        """The next block (frames,), as the law reads it; within full scale."""
        if self._repair is None:
            return codes
        shown = codes / FULL_SCALE
        volts = self._repair.process(shown) + self._shift_fs
        if self.start_fs is None and len(volts):
            self.start_fs = float(volts[0] - (shown[0] - self._repair.offset_fs))
        return codes_of(np.clip(volts, -1.0, TOP_CODE / FULL_SCALE))
