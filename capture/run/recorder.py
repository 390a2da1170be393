"""Records one take: plays the song, cuts the latency, writes both files, meters everything.

The song is sent with the plan's send gain and followed by as much silence as the latency is long,
so that its end comes back too. From what comes back the first ``latency_frames`` are dropped:
frame 0 of the files is then frame 0 of the song, but for a fraction that the calibration states.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.dataset.audio import BLOCK_FRAMES, FlacWriter, read_blocks
from capture.hardware.ports import Audio, Interval, Label, Samples
from capture.run.ahead import ahead
from capture.signal.checks import Peaks, TakeMeter


@dataclass(frozen=True, slots=True)
class Route:
    """What is sent, and how it comes back."""

    song: Path
    frames: int
    send_gain_db: float
    latency_frames: int


def record(
    audio: Audio,
    route: Route,
    label: Label,
    targets: tuple[Path, Path],
    meter: TakeMeter,
    progress: Callable[[int, Peaks], None],
) -> Interval:
    """Records into ``targets`` (output, CV), feeding ``meter`` and calling ``progress`` per block.

    ``progress`` may raise, to interrupt. Raises HardwareFault when the device is lost, OSError
    when the disk refuses.
    """
    rate = audio.sample_rate_hz
    columns = [audio.inputs.index(name) for name in ("left", "right", "cv")]
    silence = itertools.repeat(
        np.zeros((BLOCK_FRAMES, 2), np.int32), -(-route.latency_frames // BLOCK_FRAMES)
    )
    tail = _cut(silence, 0, route.latency_frames)
    recording = audio.record(itertools.chain(_sent(route), tail), label)
    done = 0
    with (
        contextlib.closing(ahead(recording)) as stream,
        FlacWriter(targets[0], rate, 2) as output,
        FlacWriter(targets[1], rate, 1) as cv,
    ):
        # The song is read a second time, to compare: nobody knows how far the device reads ahead.
        received = _cut(stream, route.latency_frames, route.frames)
        for sent, block in zip(_sent(route), received, strict=False):
            pair = np.ascontiguousarray(block[:, columns[:2]])
            voltage = np.ascontiguousarray(block[:, columns[2]])
            output.write(pair)
            cv.write(voltage)
            done += len(block)
            progress(done, meter.add(sent[: len(block)], pair, voltage))
        for _ in stream:  # whatever is left must be taken before the interval is known
            pass
    return recording.interval


def _sent(route: Route) -> Iterator[Samples]:
    """The song with the send gain, rounded to 24 bits.

    Its peak was checked to fit when the song was made. A peak of just full scale rounds to one
    code above the largest, and is sent as the largest.
    """
    gain = 10 ** (route.send_gain_db / 20)
    for block in read_blocks(route.song):
        codes = np.rint(block * (gain / 2**8)) if gain != 1 else block >> 8
        yield np.minimum(codes, 2**23 - 1).astype(np.int32) << 8


def _cut(blocks: Iterable[Samples], skip: int, frames: int) -> Iterator[Samples]:
    """``frames`` frames after the first ``skip``, in blocks of BLOCK_FRAMES (the last shorter)."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        part = block[min(skip, len(block)) :]
        skip -= len(block) - len(part)
        part = part[: frames - count]
        held.append(part)
        count += len(part)
        while sum(map(len, held)) >= BLOCK_FRAMES:
            whole = np.concatenate(held)
            yield whole[:BLOCK_FRAMES]
            held = [whole[BLOCK_FRAMES:]]
        if count == frames:
            break
    rest = np.concatenate(held) if held else np.zeros((0, 2), np.int32)
    if len(rest):
        yield rest
