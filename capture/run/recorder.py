"""Records one take: plays marker, song, marker; cuts the latency; writes the files; meters it all.

    sent      [marker][gap][song ....................][gap][marker]
    recorded  ........[marker][gap][song ....................][gap][marker].

The song is sent with the plan's send gain. From what comes back the first ``latency_frames`` are
dropped: frame 0 of the files is then frame 0 of the song, but for a fraction that the calibration
states. The recording is one piece: whatever the stream lost or doubled in it moves the second
marker against the first. What lies around the song is kept too (``Around``): all but the stream's
own word can be judged again from the files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.dataset.audio import BLOCK_FRAMES, FlacWriter, read_blocks
from capture.errors import DeviceLost, MeasurementFailed
from capture.hardware.ports import Audio, Interval, Label, Samples
from capture.run.ahead import ahead
from capture.run.listener import Listener
from capture.run.markers import Around
from capture.signal import marker
from capture.signal.checks import Peaks
from capture.signal.levels import FULL_SCALE, amplified, codes_of
from capture.signal.marker import SEARCH_FRAMES
from capture.signal.pilot import PilotMeter


@dataclass(frozen=True, slots=True)
class Route:
    """What is sent, and how it comes back."""

    song: Path
    frames: int
    send_gain_db: float
    latency_frames: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the take is written: output, CV, and what came back of the markers."""

    output: Path
    cv: Path
    markers: Path


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a take when it is over.

    ``pilot`` is None where the rig has no loopback, and MeasurementFailed where it is not there.
    """

    interval: Interval
    around: Around
    pilot: PilotMeter | MeasurementFailed | None


def record(
    audio: Audio,
    route: Route,
    label: Label,
    parts: Parts,
    listener: Listener,
    handed_over: Callable[[], None],
    progress: Callable[[int, Peaks], None],
) -> Recorded:
    """Records into ``parts``, feeding ``listener`` and calling ``progress`` for each block.

    ``handed_over`` is called when the last of the song has been taken to be played. ``progress``
    may raise, to interrupt. Raises DeviceLost when the device is lost, OSError when the disk
    refuses.
    """
    rate = audio.sample_rate_hz
    signal, gap = marker.marker(rate), marker.gap_frames(rate)
    sweep = codes_of(signal)
    silence = np.zeros((gap, 2), np.int32)

    def play() -> Iterator[Samples]:
        yield sweep
        yield silence
        yield from sent(route)
        yield silence
        yield sweep
        handed_over()

    recording = audio.record(play(), label, route.latency_frames + SEARCH_FRAMES)
    with contextlib.closing(ahead(recording)) as stream:
        tape = _Tape(stream, route.latency_frames - SEARCH_FRAMES, len(audio.inputs))
        before = tape.take(len(sweep) + 2 * SEARCH_FRAMES)
        tape.back(SEARCH_FRAMES)
        pilot = _pilot(audio.inputs, signal[:, 0], before, rate)
        pause = tape.take(gap)
        _follow(pilot, audio.inputs, silence, pause)
        listener.silence(pause[:, audio.inputs.index("cv")])
        _song(audio, route, parts, tape, listener, pilot, progress)
        _follow(pilot, audio.inputs, silence, tape.take(gap))
        tape.back(SEARCH_FRAMES)
        after = tape.take(len(sweep) + 2 * SEARCH_FRAMES)
        around = Around(before, pause, after, len(sweep) + gap + route.frames + gap)
        around.write(parts.markers, rate)
        for _ in stream:  # whatever is left must be taken before the interval is known
            pass
    return Recorded(recording.interval, around, pilot)


def _song(
    audio: Audio,
    route: Route,
    parts: Parts,
    tape: _Tape,
    listener: Listener,
    pilot: PilotMeter | MeasurementFailed | None,
    progress: Callable[[int, Peaks], None],
) -> None:
    rate, columns = audio.sample_rate_hz, [audio.inputs.index(n) for n in ("left", "right", "cv")]
    done = 0
    with FlacWriter(parts.output, rate, 2) as output, FlacWriter(parts.cv, rate, 1) as cv:
        # The song is read a second time, to compare: nobody knows how far the device reads ahead.
        for played, block in zip(sent(route), tape.blocks(route.frames), strict=False):
            _require_life(block)
            pair = np.ascontiguousarray(block[:, columns[:2]])
            voltage = np.ascontiguousarray(block[:, columns[2]])
            output.write(pair)
            cv.write(voltage)
            done += len(block)
            _follow(pilot, audio.inputs, played, block)
            progress(done, listener.song(played[: len(block)], pair, voltage))


def _require_life(block: Samples) -> None:
    """Raises DeviceLost where no input carries anything in a whole block, not even noise.

    So it is when the cables lead nowhere: a stream may go on for ever like that.
    """
    if len(block) == BLOCK_FRAMES and not np.ptp(block, axis=0).any():
        raise DeviceLost("nothing comes back on any input, not even noise")


def _pilot(
    inputs: tuple[str, ...], sent: np.ndarray, received: Samples, rate: int
) -> PilotMeter | MeasurementFailed | None:
    if "loopback" not in inputs:
        return None
    loopback = received[:, inputs.index("loopback")] / FULL_SCALE
    try:
        if len(loopback) < len(sent) + 2 * SEARCH_FRAMES:
            raise MeasurementFailed("the stream ended within the marker")
        return PilotMeter(sent, loopback, rate)
    except MeasurementFailed as error:
        return error


def _follow(
    pilot: PilotMeter | MeasurementFailed | None,
    inputs: tuple[str, ...],
    sent: Samples,
    received: Samples,
) -> None:
    if isinstance(pilot, PilotMeter):
        count = min(len(sent), len(received))
        pilot.add(sent[:count, 0], received[:count, inputs.index("loopback")])


def sent(route: Route) -> Iterator[Samples]:
    """The song with the send gain; its peak was checked to fit when the song was made."""
    for block in read_blocks(route.song):
        yield amplified(block, route.send_gain_db)


class _Tape:
    """Cuts a stream of blocks into pieces of any length, in order."""

    def __init__(self, blocks: Iterable[Samples], skip: int, inputs: int) -> None:
        self._blocks = iter(blocks)
        self._held: list[Samples] = [np.zeros((max(0, -skip), inputs), np.int32)]
        self._last = self._held[0]
        self.take(max(0, skip))

    def take(self, frames: int) -> Samples:
        """The next ``frames`` frames; fewer where the stream has no more."""
        count = sum(map(len, self._held))
        while count < frames and (block := next(self._blocks, None)) is not None:
            self._held.append(block)
            count += len(block)
        whole = np.concatenate(self._held)
        self._held = [whole[frames:]]
        self._last = whole[:frames]
        return self._last

    def back(self, frames: int) -> None:
        """Winds back by ``frames`` frames, no more than the last ``take`` gave."""
        self._held.insert(0, self._last[max(0, len(self._last) - frames) :])

    def blocks(self, frames: int) -> Iterator[Samples]:
        """``frames`` frames in blocks of BLOCK_FRAMES, the last one shorter."""
        while frames > 0 and len(block := self.take(min(BLOCK_FRAMES, frames))):
            frames -= len(block)
            yield block
