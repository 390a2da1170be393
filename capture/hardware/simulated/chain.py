"""One recording's way: DAC, unit, cables, analog returns, ADC; and what is wrong with it.

    play -> DAC -+-> unit -> return gain -> crosstalk -> delay -> cable -> + noise, hum, DC -> ADC
                 |     `-> CV out -> low-pass -> (AC coupling) -> delay -> cable -> + ...  -> ADC
                 `-> the left send, on the loopback input -> delay ->               + ...  -> ADC

Every recording begins with empty delay lines (the CV's hold its voltage of that moment): what was
on its way when the last one ended is gone. All that is random comes from a generator seeded by the
rig's seed and the recording's label alone. So a recording does not depend on those before it,
but for what the unit's capacitors remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capture.hardware.ports import Label, Samples
from capture.hardware.profile import RigProfile
from capture.hardware.simulated.converters import (
    Delay,
    from_dac,
    hum_period,
    noise,
    one_pole,
    to_adc,
)
from capture.hardware.simulated.unit import Unit
from capture.hardware.simulation import (
    AnyFault,
    Burst,
    CvAc,
    CvClip,
    CvScale,
    CvUnplugged,
    Dead,
    DoubledFrames,
    Drift,
    Gain,
    Hum,
    Invert,
    KnobMoved,
    LostFrames,
    Overflow,
    PerInput,
    Simulation,
    Swap,
    Unplug,
)
from capture.model import Setting, canonical

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened, frame by frame of what was played; in blocks, or all of it.

    ``gain_db`` (n,): negative = attenuation, without make-up gain, which is ``makeup_db``.
    ``output`` (n, 2): left and right at the unit's output, in full scales, make-up and distortion
    included; before delay, noise and return gain. ``delay_frames``, by input: from play to record
    as the recording begins (the CV's without the lag of its own low-pass).
    """

    gain_db: Floats
    output: Floats
    makeup_db: float
    delay_frames: dict[str, float]


@dataclass(slots=True)
class Wiring:
    """All that is wrong in one recording.

    ``edits``: (second, frames lost; negative: doubled). ``hum``: amplitudes by input.
    ``cv_range_v``: what feeds the CV input goes from its first to its second figure. ``moments``:
    what happens in the middle of it.
    """

    swapped: bool = False
    inverted: set[str] = field(default_factory=set[str])
    dead: set[str] = field(default_factory=set[str])
    cv_corner_hz: float | None = None
    cv_scale: float = 1.0
    cv_range_v: tuple[float, float] | None = None
    hum: dict[str, float] = field(default_factory=dict[str, float])
    moments: list[Burst | KnobMoved] = field(default_factory=list[Burst | KnobMoved])
    drift_ppm: float = 0.0
    gain_db: float = 0.0
    edits: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    unplug_at_s: float | None = None
    flags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, faults: Iterable[AnyFault]) -> Wiring:
        wiring = cls()
        for fault in faults:
            wiring._add(fault)
        wiring.edits.sort()
        return wiring

    def _add(self, fault: AnyFault) -> None:  # noqa: C901, PLR0912  (a flat table)
        match fault:
            case Swap():
                self.swapped = not self.swapped
            case Invert():
                self.inverted ^= set(fault.channels)
            case Dead():
                self.dead |= set(fault.channels)
            case CvUnplugged():
                self.dead.add("cv")
            case CvAc():
                self.cv_corner_hz = fault.corner_hz
            case CvScale():
                self.cv_scale *= 1 + fault.percent / 100
            case CvClip():
                self.cv_range_v = (fault.low_v, fault.high_v)
            case Hum():
                for name in fault.channels:
                    self.hum[name] = self.hum.get(name, 0.0) + amplitude(fault.level_dbfs)
            case Burst() | KnobMoved():
                self.moments.append(fault)
            case Drift():
                self.drift_ppm += fault.ppm
            case Gain():
                self.gain_db += fault.gain_db
            case LostFrames():
                self.edits.append((fault.at_s, fault.frames))
            case DoubledFrames():
                self.edits.append((fault.at_s, -fault.frames))
            case Unplug():
                self.unplug_at_s = fault.at_s
            case Overflow():
                self.flags |= {"input_overflow"}
            case _:  # ok; and knob, which is not the audio's
                pass


def amplitude(level_db: float) -> float:
    """20 dB is a factor of 10; -200 dB and below is 0."""
    return 10 ** (level_db / 20) if level_db > -200 else 0.0


def generator(seed: int, label: Label) -> np.random.SFC64:
    """Random bits that depend on the rig's seed and the recording's label, and nothing else."""
    name = canonical([seed, label.purpose, label.subject, label.attempt])
    return np.random.SFC64(int.from_bytes(hashlib.sha256(name.encode()).digest(), "big"))


class Chain:
    """One recording: takes consecutive blocks of what is played, gives what is recorded."""

    def __init__(
        self, profile: RigProfile, simulation: Simulation, unit: Unit, wiring: Wiring, label: Label
    ) -> None:
        facts = simulation.converters
        self._facts, self._cv, self._unit, self._wiring = facts, simulation.cv, unit, wiring
        self._rate_hz = profile.audio.sample_rate_hz
        self._makeup_db = simulation.unit.makeup_db
        self._volts_per_fs = profile.cv.volts_per_fs
        self._gain = amplitude(facts.return_gain_db + wiring.gain_db)
        self._crosstalk = amplitude(facts.crosstalk_db)
        self._inputs = inputs_of(profile)
        self._bits = generator(simulation.seed, label)
        self._hum = hum_period(self._rate_hz, facts.mains_hz)
        self._hum_at = int(self._bits.random_raw() % len(self._hum))
        self._frame = 0
        self._moved: list[tuple[int, Setting]] = []
        self._bursts: list[tuple[int, int, Burst]] = []
        for moment in wiring.moments:
            self.begin(moment)
        self._volts = self._volts_at(-unit.reduction_db)
        self._coupled_volts = self._volts
        self.delay_frames = {
            name: facts.latency_frames + _of(facts.skew_frames, name) for name in self._inputs
        }
        at_start = {"cv": 0.0 if wiring.cv_corner_hz else self._volts / self._volts_per_fs}
        self._delays = {
            name: Delay(frames, wiring.drift_ppm, at_start.get(name, 0.0))
            for name, frames in self.delay_frames.items()
        }

    def begin(self, moment: Burst | KnobMoved) -> None:
        """It happens ``at_s`` after the next frame."""
        at = self._frame + round(moment.at_s * self._rate_hz)
        if isinstance(moment, KnobMoved):
            self._moved.append((at, Setting(moment.setting)))
            self._moved.sort(key=lambda moved: moved[0])
        else:
            self._bursts.append((at, at + round(moment.for_s * self._rate_hz), moment))

    def rewire(self, wiring: Wiring) -> None:
        """From the next frame on, this is what is wrong. An AC coupling begins charged.

        What happens in the middle of a recording (``moments``) is left to ``begin``.
        """
        if wiring.drift_ppm != self._wiring.drift_ppm:
            for delay in self._delays.values():
                delay.drift(wiring.drift_ppm)
        if wiring.cv_corner_hz and not self._wiring.cv_corner_hz:
            self._coupled_volts = self._volts
        self._gain = amplitude(self._facts.return_gain_db + wiring.gain_db)
        self._wiring = wiring

    def delays_now(self) -> dict[str, float]:
        """``delay_frames`` of the next frame: after the drift so far."""
        return {name: delay.frames for name, delay in self._delays.items()}

    def process(self, play: Samples) -> tuple[Samples, Truth]:
        """Plays one block (n, 2); what comes back has shape (n, inputs)."""
        parts: list[tuple[Floats, Floats, Floats]] = []
        left, right = from_dac(play[:, 0]), from_dac(play[:, 1])
        done = 0
        while self._moved and self._moved[0][0] < self._frame + len(play):
            at, setting = self._moved.pop(0)
            part = slice(done, max(done, at - self._frame))
            if part.stop > part.start:
                parts.append(self._unit.process(left[part], right[part]))
            done = part.stop
            self._unit.set(setting)
        parts.append(self._unit.process(left[done:], right[done:]))
        reduction_db, out_left, out_right = (np.concatenate(p) for p in zip(*parts, strict=True))
        recorded, gain_db = self._record(left, 0.0 - reduction_db, out_left, out_right)
        self._frame += len(play)
        output = np.column_stack([out_left, out_right])
        return recorded, Truth(gain_db, output, self._makeup_db, self.delay_frames)

    def _record(
        self, left: Floats, gain_db: Floats, out_left: Floats, out_right: Floats
    ) -> tuple[Samples, Floats]:
        """What the converters deliver of one block, and ``gain_db``."""
        frames = len(left)
        signals = {
            "left": self._gain * (out_left + self._crosstalk * out_right),
            "right": self._gain * (out_right + self._crosstalk * out_left),
            "cv": self._control_voltage(gain_db),
            "loopback": left,
        }
        if self._wiring.swapped:
            signals["left"], signals["right"] = signals["right"], signals["left"]
        hum = self._next_hum(frames)
        recorded = np.empty((frames, len(self._inputs)), np.int32)
        for column, name in enumerate(self._inputs):
            recorded[:, column] = to_adc(self._received(name, signals[name], hum))
        return recorded, gain_db

    def _received(self, name: str, signal: Floats, hum: Floats) -> Floats:
        """What reaches the converter of one input, in full scales."""
        facts = self._facts
        y = self._delays[name].process(signal)
        if name in self._wiring.dead:
            y = np.zeros_like(y)
        elif name in self._wiring.inverted:
            y = -y
        noise_rms = amplitude(_of(facts.noise_dbfs, name))
        if name == "cv" and "cv" not in self._wiring.dead:
            noise_rms = float(np.hypot(noise_rms, self._cv.noise_volts_rms / self._volts_per_fs))
        y += noise(self._bits, noise_rms, len(y))
        y += (amplitude(_of(facts.hum_dbfs, name)) + self._wiring.hum.get(name, 0.0)) * hum
        y += _of(facts.dc_fs, name)
        for begin, end, burst in self._bursts:
            part = slice(max(0, begin - self._frame), max(0, end - self._frame))
            if name in burst.channels and (count := len(y[part])):
                y[part] += noise(self._bits, amplitude(burst.level_dbfs), count)
        return y

    def _next_hum(self, frames: int) -> Floats:
        at, self._hum_at = self._hum_at, (self._hum_at + frames) % len(self._hum)
        return np.resize(np.roll(self._hum, -at), frames)

    def _volts_at(self, gain_db: float) -> float:
        makeup_db = self._makeup_db if self._cv.includes_makeup else 0.0
        return self._cv.volts_per_db * (gain_db + makeup_db) + self._cv.volts_at_0db

    def _control_voltage(self, gain_db: Floats) -> Floats:
        """The CV input's signal (n,), in full scales."""
        zero, slope = self._volts_at(0.0), self._cv.volts_per_db
        volts = one_pole(zero + slope * gain_db, self._cv.bandwidth_hz, self._rate_hz, self._volts)
        self._volts = float(volts[-1])
        volts = zero + self._wiring.cv_scale * (volts - zero)
        if self._wiring.cv_range_v:
            volts = np.clip(volts, *self._wiring.cv_range_v)
        if self._wiring.cv_corner_hz:
            corner_hz = self._wiring.cv_corner_hz
            capacitor = one_pole(volts, corner_hz, self._rate_hz, self._coupled_volts)
            self._coupled_volts = float(capacitor[-1])
            volts -= capacitor
        return volts / self._volts_per_fs


def inputs_of(profile: RigProfile) -> tuple[str, ...]:
    """The columns of a recording: left, right, cv, and loopback where it is wired."""
    loopback = profile.audio.inputs.loopback is not None
    return ("left", "right", "cv", *(("loopback",) if loopback else ()))


def _of(figures: PerInput, name: str) -> float:
    return float(getattr(figures, name))
