"""Level anchors by voltmeter: what 0 dBFS is in volts, channel by channel, asked of a person.

A tone plays until the person has typed what the meter shows. An output's anchor follows from the
level that is sent; an input's from the level that is recorded at the same time, the loopback's
where there is one. The CV input is measured at two voltages, with the unit at rest and at work: an
offset cancels. What then holds is said in ``levels``.

0 dBu is 0.7746 V rms; 0 dBFS is a sine whose peak is full scale.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import numpy as np

from capture.errors import BadInput, HardwareFault, MeasurementFailed
from capture.hardware.ports import Audio, Label, Operator, Samples
from capture.records import AnchorRecord, utc_now
from capture.signal.levels import FULL_SCALE, codes_of

TONE_HZ = 1000
LEVEL_DBFS = -12.0
DBU_V = 0.7746
BLOCK_FRAMES = 16384
NAP_S = 0.02
PATIENCE_S = 30.0
LOWEST_DBU, HIGHEST_DBU = -10.0, 30.0
"""Outside of this a converter's full scale is not to be found."""
SIDES_DB = 1.0
"""Left and right of one interface do not differ by more, unless a level switch does."""
TRIES = 3
LEAST_CV_FS = 0.02


class Tone:
    """A tone on the outputs named, or silence, from entering the block to leaving it."""

    def __init__(self, audio: Audio, outputs: tuple[str, ...]) -> None:
        self._audio = audio
        rate = audio.sample_rate_hz
        time_s = np.arange(rate) / rate
        second = 10 ** (LEVEL_DBFS / 20) * np.sin(2 * np.pi * TONE_HZ * time_s)
        mask = np.array([name in outputs for name in ("left", "right")])
        self._second = codes_of(second[:, None] * mask)
        self._over, self._enough = threading.Event(), threading.Event()
        self._heard: Samples = np.zeros((0, len(audio.inputs)), np.int32)
        self._fault: HardwareFault | None = None
        self._thread = threading.Thread(target=self._run, name="tone", daemon=True)

    def __enter__(self) -> Tone:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rate = self._audio.sample_rate_hz
        try:
            for block in self._audio.record(self._blocks(), Label("check", "anchor")):
                self._heard = np.concatenate([self._heard, block])[-2 * rate :]
                if len(self._heard) >= rate:
                    self._enough.set()
        except HardwareFault as fault:
            self._fault = fault
            self._enough.set()

    def _blocks(self) -> Iterator[Samples]:
        at, rate = 0, len(self._second)
        while not self._over.is_set():
            yield self._second[np.arange(at, at + BLOCK_FRAMES) % rate]
            at += BLOCK_FRAMES
            time.sleep(NAP_S)  # a simulated rig would use up the processor

    def _last_second(self, name: str) -> np.ndarray:
        if not self._enough.wait(PATIENCE_S):
            raise MeasurementFailed(f"anchors: no tone was recorded within {PATIENCE_S:g} s")
        if self._fault:
            raise self._fault
        rate = self._audio.sample_rate_hz
        return self._heard[-rate:, self._audio.inputs.index(name)] / FULL_SCALE

    def level_dbfs(self, name: str) -> float:
        """The tone's level at an input, over the last second: whole periods of it."""
        column = self._last_second(name)
        turns = np.exp(-2j * np.pi * TONE_HZ * np.arange(len(column)) / len(column))
        amplitude = 2 * abs(np.mean(column * turns))
        if amplitude < 1e-4:
            raise MeasurementFailed(f"anchors: the tone does not come back at {name}")
        return 20 * math.log10(amplitude)

    def mean_fs(self, name: str) -> float:
        """The mean of an input over the last second, full scale 1."""
        return float(np.mean(self._last_second(name)))


def measure(audio: Audio, operator: Operator, *, dc_cv: bool) -> Iterator[AnchorRecord]:
    """Asks for every anchor, one after the other; an empty answer leaves one out.

    Each is handed out as soon as it is known. The knobs must stand where the tone compresses: that
    is what moves the CV, which is asked for only if its input is DC-coupled (``dc_cv``). Raises
    BadInput after ``TRIES`` answers that make no sense, HardwareFault.
    """
    who = operator.ask("Who measures, and with what instrument?") or "not said"
    sides: dict[str, AnchorRecord | None] = {"output": None, "input": None}
    for side in ("left", "right"):
        with Tone(audio, (side,)) as tone:
            place = f"the {side} send, the compressor connected"
            volts = _volts(operator, place, LEVEL_DBFS, sides["output"])
            if volts is not None:
                sides["output"] = _anchor("output", side, volts, LEVEL_DBFS, who)
                yield sides["output"]
            volts = _volts(operator, f"the {side} return", tone.level_dbfs(side), sides["input"])
            if volts is not None:
                sides["input"] = _anchor("input", side, volts, tone.level_dbfs(side), who)
                yield sides["input"]
            if side == "left" and "loopback" in audio.inputs:
                place, level_dbfs = "the loopback's input", tone.level_dbfs("loopback")
                volts = _volts(operator, place, level_dbfs, None)
                if volts is not None:
                    yield _anchor("input", "loopback", volts, level_dbfs, who)
    if dc_cv:
        yield from _cv(audio, operator, who)


def _volts(
    operator: Operator, place: str, level_dbfs: float, other: AnchorRecord | None
) -> float | None:
    """A voltage that makes sense for a tone of so many dBFS; None if it is left out."""
    question = f"{TONE_HZ} Hz is on {place}. Volts rms across hot and cold (empty: leave out)?"
    for _ in range(TRIES):
        answer = operator.ask(question)
        if not answer:
            return None
        volts = _number(answer)
        reason = _refused(volts, level_dbfs, other)
        if reason is None:
            return volts
        question = f"{answer}: {reason}. Once more, volts rms (empty: leave out)?"
    raise BadInput(f"anchors: {place}: no answer made sense; look at wiring and meter range")


def _refused(volts: float | None, level_dbfs: float, other: AnchorRecord | None) -> str | None:
    if volts is None or volts <= 0:
        return "is no voltage; write a number of volts, such as 0.775"
    dbu = _dbu(volts, level_dbfs)
    if not LOWEST_DBU <= dbu <= HIGHEST_DBU:
        return (
            f"would make full scale {dbu:.1f} dBu; interfaces have {LOWEST_DBU:g} to "
            f"{HIGHEST_DBU:g} (millivolts, or a peak value?)"
        )
    if other is not None and other.dbu is not None and abs(dbu - other.dbu) > SIDES_DB:
        return f"would make full scale {dbu:.1f} dBu, and {other.dbu:.1f} on the other side"
    return None


def _cv(audio: Audio, operator: Operator, who: str) -> Iterator[AnchorRecord]:
    volts: list[float] = []
    means: list[float] = []
    for outputs, state in (((), "at rest"), (("left", "right"), "compressing")):
        with Tone(audio, outputs) as tone:
            answer = operator.ask(
                f"The unit is {state}. DC volts at the CV input (empty: leave out)?"
            )
            if not answer:
                return
            value = _number(answer)
            if value is None:
                raise BadInput(f"anchors: {answer}: is no voltage; write a number such as -0.512")
            volts.append(value)
            means.append(tone.mean_fs("cv"))
    moved_fs, moved_v = means[1] - means[0], volts[1] - volts[0]
    if abs(moved_fs) < LEAST_CV_FS or moved_v / moved_fs <= 0:
        raise MeasurementFailed(
            f"anchors: the CV moved by {moved_v:.4g} V, and by {moved_fs:.4g} of full scale in the "
            "recording: too little, or the other way; see to the knobs, the wiring, the polarity"
        )
    yield AnchorRecord(
        "input", "cv", None, moved_v / moved_fs, volts[1], None, who, utc_now(), "voltmeter"
    )


def _anchor(
    direction: str, channel: str, volts: float, level_dbfs: float, who: str
) -> AnchorRecord:
    kind = "output" if direction == "output" else "input"
    dbu = _dbu(volts, level_dbfs)
    return AnchorRecord(kind, channel, dbu, None, volts, level_dbfs, who, utc_now(), "voltmeter")


def _dbu(volts: float, level_dbfs: float) -> float:
    return 20 * math.log10(volts / DBU_V) - level_dbfs


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", ".").removesuffix("V").strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None
