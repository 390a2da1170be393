"""What silence and a quiet probe say of a rig, before the first take. Pure: arrays to findings.

At rest (about a second of silence):

* noise      RMS of a return without its mean. A sample at full scale is a failure by itself.
* offset     the mean of a return.
* cv         the gain that the expected law reads from the CV's mean, which should be 0 dB. Where
             0 V is within the tolerance of it, an unplugged input reads the same, and the finding
             says so.

With the latency probe, a sweep on the left and then the same sweep on the right, what comes back
at input r of what was sent on s is found by correlation in the probe's band,

    c_sr(t) = sum_k Y_r,k X*_s,k e^{j w_k t} / sum_k |X_s,k|^2        300 Hz and above: no hum

whose highest magnitude is the gain from s to r, if it stands clear of the rest; otherwise it is a
bound: nothing louder came back. The four gains between sends and returns tell a dead return, a
swapped pair, a mono mix and crosstalk apart; the delay is measured as every run measures it.
The two sweeps are alike: what comes back more than 1.25 s late passes for the other channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.model import GainLaw
from capture.signal import delay
from capture.signal.levels import FULL_SCALE, TOP_CODE

Signal = NDArray[np.float64]
Status = Literal["ok", "warning", "fail", "skipped"]
Area = Literal["input", "hardware", "damage", "storage"]

TOP_FS = TOP_CODE / FULL_SCALE
NOISE_FAIL_DBFS = -50.0
NOISE_WARNING_DBFS = -70.0
OFFSET_FS = 0.01
REST_DB = 3.0
"""How far from 0 dB the CV may stand at rest."""
CLEAR_PEAK = 15.0
"""Correlation peak over rms above which something came back; noise alone reaches 5."""
CROSSTALK_DB = -40.0
MIXED_DB = -20.0
"""Relative to the send's own return."""
FEED_DB = -40.0
"""Gain from a send to the CV input above which the input is on the audio, not beside it."""
SWING_DB = 0.5
SWING_BLOCK_S = 0.02
LEAST_GAIN_DB = -50.0
"""Where no plan says how quiet a return may be."""
RETURNS = ("left", "right")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``area`` is what is to blame if it failed."""

    name: str
    status: Status
    message: str
    area: Area = "hardware"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came back at one input of one send. Not ``clear``: nothing louder than ``gain_db``."""

    gain_db: float
    clear: bool


Arrivals = Mapping[tuple[str, str], Arrival]
"""By send (left, right) and input."""


def stream(
    name: str, flags: frozenset[str], missing_frames: int, left_out_frames: float
) -> Finding:
    """What the stream said of a recording, and whether all frames came back.

    ``left_out_frames``: by how much its clock ran ahead, beyond half a block; 0 if it kept time.
    """
    if flags:
        said = ", ".join(sorted(flags))
        remedy = "close other programs, or give the device a larger buffer"
        return Finding(name, "fail", f"the stream reported {said}: {remedy}")
    if missing_frames:
        return Finding(name, "fail", f"{missing_frames} frames did not come back")
    if left_out_frames:
        message = f"the stream left out about {left_out_frames:.0f} frames and did not say so"
        return Finding(name, "fail", f"{message}: close other programs")
    return Finding(name, "ok", "no flag was raised, no frame is missing")


def at_rest(
    received: Signal, inputs: Sequence[str], law: GainLaw, volts_per_fs: float
) -> list[Finding]:
    """What is wrong with silence, ``received``, shape (frames, inputs), full scale 1."""
    found: list[Finding] = []
    for number, name in enumerate(inputs):
        column = received[:, number]
        if name == "cv":
            found.append(_cv_at_rest(column, law, volts_per_fs))
        else:
            found += [_noise(name, column), _offset(name, column)]
    return found


def _noise(channel: str, column: Signal) -> Finding:
    name = f"noise {channel}"
    if np.abs(column).max() >= TOP_FS:
        return Finding(
            name,
            "fail",
            "is at full scale while nothing is played: wrong channel, "
            "oscillation, or an input gain far too high",
        )
    rms = float(np.std(column))
    if not np.ptp(column):
        return Finding(
            name,
            "warning",
            "every sample is the same, which no converter gives: a "
            "muted or unrouted input, unless the probe arrives",
        )
    level = 20 * np.log10(rms)
    figure = f"{level:.1f} dBFS RMS"
    if level > NOISE_FAIL_DBFS:
        remedy = "look for an open input, hum, or a monitor path that feeds back"
        return Finding(name, "fail", f"{figure}; at most {NOISE_FAIL_DBFS:g} is usable: {remedy}")
    if level > NOISE_WARNING_DBFS:
        return Finding(
            name,
            "warning",
            f"{figure}; below {NOISE_WARNING_DBFS:g} is usual: look "
            "for hum, a ground loop, or an input gain too high",
        )
    return Finding(name, "ok", figure)


def _offset(channel: str, column: Signal) -> Finding:
    mean = float(np.mean(column))
    figure = f"{mean:+.6f} of full scale"
    if abs(mean) > OFFSET_FS:
        return Finding(
            f"offset {channel}",
            "warning",
            f"{figure}; within +-{OFFSET_FS:g} is usual:"
            " DC comes from the unit or from the wrong channel",
        )
    return Finding(f"offset {channel}", "ok", figure)


def _cv_at_rest(column: Signal, law: GainLaw, volts_per_fs: float) -> Finding:
    """``column``, shape (frames,), read with the law that the rig profile expects."""
    name, mean = "cv at rest", float(np.mean(column))
    gain_db = mean * law.gain_db_per_fs + law.gain_db_at_zero
    volts = f"{mean * volts_per_fs:+.4f} V"
    if np.abs(column).max() >= TOP_FS:
        return Finding(
            name,
            "fail",
            f"is at full scale ({volts}): the voltage is beyond "
            f"{volts_per_fs:g} V, or the channel is wrong",
        )
    if not np.ptp(column):
        return Finding(
            name,
            "fail",
            f"every sample is the same ({volts}): not connected to the "
            "converter, or cv's channel number is wrong",
        )
    noise_db = float(np.std(column)) * abs(law.gain_db_per_fs)
    figure = f"{volts}, which reads as {gain_db:+.2f} dB of gain (noise {noise_db:.2g} dB RMS)"
    if abs(gain_db) > REST_DB:
        unplugged = abs(gain_db - law.gain_db_at_zero) < REST_DB
        cause = "as an unplugged input would show" if unplugged else "make-up not at 0, or the law"
        return Finding(
            name,
            "warning",
            f"{figure}; 0 dB within {REST_DB:g} is expected: {cause}; see cv: in the rig profile",
        )
    if abs(law.gain_db_at_zero) <= REST_DB:
        return Finding(
            name,
            "ok",
            f"{figure}; an unplugged input reads about the same, so a dead "
            "one is not verifiable at rest: the takes' cv_scatter_db shows it",
        )
    return Finding(name, "ok", figure)


def arrivals(sent: Signal, received: Signal, inputs: Sequence[str], rate_hz: int) -> Arrivals:
    """Every send against every input: ``sent`` (frames, 2) of ``delay.probe``, full scale 1,
    ``received`` (frames, inputs)."""
    return {
        (send, name): _arrival(
            _half(sent[:, side], side), _half(received[:, number], side), rate_hz
        )
        for side, send in enumerate(RETURNS)
        for number, name in enumerate(inputs)
    }


def _half(column: Signal, side: int) -> Signal:
    """The half of a probe, or of what came back of it, in which ``side`` is played."""
    half = len(column) // 2
    return column[side * half : (side + 1) * half]


def _arrival(sent: Signal, received: Signal, rate_hz: int) -> Arrival:
    size = 1 << (2 * len(sent) - 1).bit_length()
    spectrum = np.fft.rfft(sent, size)
    spectrum[: round(delay.LOW_HZ / rate_hz * size)] = 0
    power = float(np.fft.irfft(np.abs(spectrum) ** 2, size)[0])
    gain = np.fft.irfft(np.fft.rfft(received, size) * np.conj(spectrum), size) / power
    peak, rms = float(np.abs(gain).max()), float(np.sqrt(np.mean(gain**2)))
    return Arrival(20 * float(np.log10(max(peak, 1e-12))), peak > CLEAR_PEAK * rms)


def from_probe(
    sent: Signal,
    received: Signal,
    inputs: Sequence[str],
    rate_hz: int,
    law: GainLaw,
    least_gain_db: float,
    loudest_sent_dbfs: float,
) -> list[Finding]:
    """What the probe shows. ``loudest_sent_dbfs``: the highest peak that the plan will play."""
    found = arrivals(sent, received, inputs, rate_hz)
    column = {name: received[:, number] for number, name in enumerate(inputs)}
    findings: list[Finding] = []
    for side, name in enumerate(RETURNS):
        findings.append(_return(name, found, least_gain_db, loudest_sent_dbfs))
        findings += _delay(
            name, found, _half(sent[:, side], side), _half(column[name], side), rate_hz
        )
        findings.append(_crosstalk(name, found))
    findings += [_cv_feed(found), _cv_swing(column["cv"], law, rate_hz)]
    if "loopback" in column:
        findings.append(_loopback(found["left", "loopback"]))
    return findings


def _other(send: str) -> str:
    return RETURNS[1 - RETURNS.index(send)]


def _at_home(send: str, found: Arrivals) -> bool:
    """Whether a send comes back at its own return, and not rather at the other one."""
    own, other = found[send, send], found[send, _other(send)]
    return own.clear and not (other.clear and other.gain_db > own.gain_db - MIXED_DB)


def _return(send: str, found: Arrivals, least_gain_db: float, loudest_dbfs: float) -> Finding:
    name, own, other = f"return {send}", found[send, send], found[send, _other(send)]
    if not _at_home(send, found) and other.clear:
        return Finding(
            name,
            "fail",
            f"what is played on {send} comes back at {_other(send)} "
            f"({other.gain_db:+.1f} dB): swapped; exchange the cables, or the channel "
            "numbers in the rig profile",
        )
    if not own.clear:
        return Finding(
            name,
            "fail",
            f"nothing came back of what was played on {send} (above "
            f"{own.gain_db:.0f} dB): see to its cables, channel numbers and the unit's "
            "power",
        )
    figure = f"{own.gain_db:+.1f} dB from send to return"
    if own.gain_db < least_gain_db:
        return Finding(
            name,
            "fail",
            f"{figure}; at least {least_gain_db:g} is needed: see to the "
            "levels of unit and interface",
        )
    if own.gain_db + loudest_dbfs > 0:
        return Finding(
            name,
            "warning",
            f"{figure}: a peak of {loudest_dbfs:g} dBFS would come back"
            " above full scale where the unit does not compress it; lower the input's "
            "gain",
        )
    return Finding(name, "ok", figure)


def _delay(
    send: str, found: Arrivals, sent: Signal, received: Signal, rate_hz: int
) -> list[Finding]:
    """Latency and polarity of one return."""
    names = (f"latency {send}", f"polarity {send}")
    if not _at_home(send, found):
        return [Finding(name, "skipped", f"{send} does not come back at {send}") for name in names]
    try:
        measured = delay.from_probe(sent, received, rate_hz)
    except MeasurementFailed as error:
        return [
            Finding(names[0], "fail", str(error)),
            Finding(names[1], "skipped", "the delay could not be measured"),
        ]
    figure = f"{measured.frames:.3f} +-{measured.uncertainty_frames:.4f} frames"
    turned = (
        Finding(
            names[1],
            "fail",
            "is inverted, and takes would fail their check of polarity: "
            "exchange hot and cold once on this channel",
        )
        if measured.inverted
        else Finding(names[1], "ok", "as sent")
    )
    return [Finding(names[0], "ok", figure), turned]


def _crosstalk(send: str, found: Arrivals) -> Finding:
    name, other = f"crosstalk of {send}", found[send, _other(send)]
    if not _at_home(send, found):
        return Finding(name, "skipped", f"{send} does not come back at {send}")
    relative_db = other.gain_db - found[send, send].gain_db
    if not other.clear:
        return Finding(name, "ok", f"not heard at {_other(send)}: below {relative_db:.0f} dB")
    figure = f"{relative_db:.1f} dB at {_other(send)}"
    if relative_db > MIXED_DB:
        return Finding(
            name,
            "fail",
            f"{figure}: the channels are mixed; set the mixer's panning and the unit to stereo",
        )
    if relative_db > CROSSTALK_DB:
        return Finding(
            name,
            "warning",
            f"{figure}; below {CROSSTALK_DB:g} is usual: look for a second path through the mixer",
        )
    return Finding(name, "ok", figure)


def _cv_feed(found: Arrivals) -> Finding:
    name = "cv apart"
    send = max(RETURNS, key=lambda send: found[send, "cv"].clear * 1e3 + found[send, "cv"].gain_db)
    heard = found[send, "cv"]
    if not heard.clear:
        return Finding(name, "ok", f"no probe in it above {heard.gain_db:.0f} dB")
    figure = f"what is played on {send} arrives at the CV input, at {heard.gain_db:+.1f} dB"
    if heard.gain_db > FEED_DB:
        return Finding(name, "fail", f"{figure}: cv's channel number or cable is an audio one's")
    return Finding(name, "warning", f"{figure}: audio leaks into it; see to the tap's ground")


def _cv_swing(cv: Signal, law: GainLaw, rate_hz: int) -> Finding:
    """How far the CV, averaged over ``SWING_BLOCK_S``, moved while the probe was played."""
    block = round(SWING_BLOCK_S * rate_hz)
    means = cv[: len(cv) // block * block].reshape(-1, block).mean(axis=1)
    swing_db = float(np.ptp(means)) * abs(law.gain_db_per_fs)
    figure = f"moved by {swing_db:.3f} dB during the probe"
    if swing_db > SWING_DB:
        return Finding(
            "cv still",
            "warning",
            f"{figure}; within {SWING_DB:g} is expected: the "
            "threshold is below the probe, or the voltage is unsteady",
        )
    return Finding("cv still", "ok", figure)


def _loopback(heard: Arrival) -> Finding:
    if heard.clear:
        return Finding("loopback", "ok", f"left arrives, at {heard.gain_db:+.1f} dB")
    return Finding(
        "loopback",
        "fail",
        f"nothing came back of left (above {heard.gain_db:.0f} dB): "
        "see to its cable, or take loopback out of the rig profile",
    )
