"""The latency's probe played loud, the unit at work: is the delay what the quiet probe says?

Takes are cut and compared by the delay that a quiet probe measures. Music is loud. So the same
sweep is played once more at ``LEVEL_DBFS`` where the unit works hardest: delay and polarity of each
input must be those of the quiet one. A second path beside the unit, a look-ahead, or an amplifier
at its end shows here.

It is played as songs are, at a lower level and with the plan's send gain on top: so it tells as
well what that gain is when it leaves the interface (``levels``).
"""

from __future__ import annotations

import math

import numpy as np

from capture.errors import MeasurementFailed
from capture.records import CalibrationRecord, ChannelDelay, LoudProbe
from capture.run.calibrate import channel_delay
from capture.run.probe import Played
from capture.signal import delay
from capture.signal.delay import Signal

ALGORITHM_VERSION = delay.ALGORITHM_VERSION
LEVEL_DBFS = -6.0
HIGHEST_DBFS = -0.1
SHIFT_FRAMES = 0.01
"""Beyond five times the noise of both. The simulated units at work shift it by 0.0002 at most."""
SIGMAS = 5.0
BLOCK_S = 0.001
REST_S = 0.1


def peak_dbfs(send_gain_db: float) -> float:
    """The probe's peak before the send gain; after it, ``LEVEL_DBFS``, or what songs can reach."""
    return min(LEVEL_DBFS - send_gain_db, HIGHEST_DBFS)


def probe(sample_rate_hz: int, send_gain_db: float) -> Signal:
    """What is to be played with the send gain, (frames, 2), full scale 1. See ``delay.probe``."""
    return delay.probe(sample_rate_hz, peak_dbfs(send_gain_db))


def compare(
    played: Played, calibration: CalibrationRecord, send_gain_db: float, cv_gain_db: Signal
) -> LoudProbe:
    """Delays and gains of what was played, against those of the quiet probe.

    ``cv_gain_db``: the gain by the CV in each frame, but for a constant. Gains of the inputs count
    from before the send gain. Raises MeasurementFailed with every input that is not as it was.
    """
    rate = played.sample_rate_hz
    sent = probe(rate, send_gain_db)
    frames = slice(len(sent))
    heard = {name: played.column(name)[frames] for name in calibration.delays}
    found = {name: channel_delay(one) for name, one in delay.of_inputs(sent, heard, rate).items()}
    level_dbfs = peak_dbfs(send_gain_db) + send_gain_db
    faults = [
        fault
        for name, one in found.items()
        if (fault := _fault(name, calibration.delays[name], one, level_dbfs))
    ]
    if faults:
        raise MeasurementFailed(*faults)
    return LoudProbe(
        level_dbfs=level_dbfs,
        send_gain_db=send_gain_db,
        deepest_gain_db=_deepest_db(cv_gain_db[frames], rate),
        calibration_id=calibration.calibration_id,
        delays=found,
        shift_frames={
            name: one.delay_frames - calibration.delays[name].delay_frames
            for name, one in found.items()
        },
    )


def _fault(name: str, quiet: ChannelDelay, loud: ChannelDelay, level_dbfs: float) -> str | None:
    """What is wrong with one input; None if it is as it was."""
    noise = math.hypot(quiet.uncertainty_frames, loud.uncertainty_frames)
    limit, shift = SHIFT_FRAMES + SIGMAS * noise, loud.delay_frames - quiet.delay_frames
    if quiet.inverted != loud.inverted:
        words = {False: "as sent", True: "inverted"}
        return (
            f"polarity of the input {name}: {words[quiet.inverted]} under the quiet probe, "
            f"{words[loud.inverted]} at {level_dbfs:g} dBFS: look for a switch or a contact that "
            "moves, and for a second path beside the unit"
        )
    if abs(shift) > limit:
        return (
            f"latency of the input {name}: {quiet.delay_frames:.4f} frames under the quiet probe, "
            f"{loud.delay_frames:.4f} at {level_dbfs:g} dBFS, the unit at work: {shift:+.4f}, at "
            f"most {limit:.2g} is allowed: look for a second path beside the unit (a dry/wet mix, "
            "a monitor), a look-ahead or limiter behind it, and a clock that slips"
        )
    return None


def _deepest_db(gain_db: Signal, sample_rate_hz: int) -> float:
    """The deepest mean of a millisecond, against the end, where the unit is at rest again."""
    block, rest = round(BLOCK_S * sample_rate_hz), round(REST_S * sample_rate_hz)
    means = gain_db[: len(gain_db) // block * block].reshape(-1, block).mean(axis=1)
    return float(means.min() - np.mean(gain_db[-rest:]))
