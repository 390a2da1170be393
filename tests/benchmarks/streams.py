"""A stream under test, in a process of its own: ``python -m tests.benchmarks.streams JSON``.

Kinds: ``driver``, capture's driver and its engine, playing and recording; ``engine``, capture's
engine alone, its callback timed; ``inline``, a sounddevice callback in this process; ``rtmixer``,
that package's callback in C, in this process. All copy every sample in and out. ``busy`` threads of
pure Python count in this process meanwhile. Prints what came of it as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.hardware.portaudio import engine
from capture.hardware.portaudio.devices import Wanted
from capture.hardware.portaudio.process import Engine
from capture.hardware.portaudio.rings import BLOCK, BLOCKS, PRIMING, Rings

JACK = "JACK Audio Connection Kit"
RATE = 44100
CHUNK = 16384
TIMES = "CAPTURE_BENCH_TIMES"
MOST_CALLBACKS = 100_000
POLL_S, POLLED_S = 0.0005, 1.0
WARM_S = 1.0
"""What a stream says in its first second is not counted."""


@dataclass(frozen=True)
class Case:
    kind: str
    period: int
    seconds: float
    busy: int = 0
    device: str = "system"
    inputs: int = 2
    outputs: int = 2


def busy() -> None:
    number = 0
    while True:
        number += 1


def of_log(entries: Any, period: int) -> dict[str, Any]:
    """From entries of dtype BLOCK: how many came, came late, were flagged; what was left out.

    The stream's clock less the frames counted steps up by what was left out; a callback that is
    merely late shows more, so the least of the first and of the last second count.
    """
    entries = entries[entries["first"] >= WARM_S * RATE]
    first = entries["first"]
    ahead = entries["stream_s"] * RATE - first
    before, after = ahead[first < first[0] + RATE], ahead[first >= first[-1] - RATE]
    gaps_s = np.diff(entries["clock_s"])
    return {
        "callbacks": len(entries),
        "late": int(np.sum(gaps_s > 1.5 * period / RATE)),
        "flagged": int(np.sum((entries["flags"] & ~PRIMING) != 0)),
        "lost_frames": round(float(after.min() - before.min())),
        "frames": int(entries["frames"].sum()),
    }


def cpu_ns(pid: int | str, tasks: set[str]) -> int:
    """What these threads of a process have computed so far."""
    found = (Path(f"/proc/{pid}/task/{task}/schedstat") for task in tasks)
    return sum(int(path.read_text().split()[0]) for path in found if path.exists())


def threads_of(pid: int | str) -> set[str]:
    return {path.name for path in Path(f"/proc/{pid}/task").iterdir()}


def log_of(rings: Rings) -> Any:
    """All entries so far, copied; there were no more than the log holds."""
    return rings.log()[: rings.header[BLOCKS]].copy()


# Kinds -------------------------------------------------------------------------------------------


def driver(case: Case) -> dict[str, Any]:
    """One recording through capture's own driver, as the recorder takes it."""
    from capture.hardware.portaudio.driver import PortAudioAudio
    from capture.hardware.ports import Label
    from capture.hardware.profile import RigProfile
    from tests.rack.conftest import document

    data = document({})
    data["audio"]["device"]["name"] = case.device
    profile = RigProfile.model_validate(data)
    noise = np.random.default_rng(1).integers(-(2**20), 2**20, (CHUNK, 2), np.int32) << 8
    blocks = round((WARM_S + case.seconds) * RATE / CHUNK)
    with closing(PortAudioAudio(profile.audio)) as audio:
        recording = audio.record((noise for _ in range(blocks)), Label("check", "bench"))
        taken = sum(len(block) for block in recording)
        entries = log_of(audio._rings)
    found = of_log(entries, case.period)
    flags = sorted(recording.interval.flags)
    return found | {"short_frames": blocks * CHUNK - taken, "flags": flags}


class Timed(engine.Callback):
    """The engine's callback, and how long each call took, into a file that is mapped already."""

    def __init__(self, rings: Rings, sample_rate_hz: int) -> None:
        super().__init__(rings, sample_rate_hz)
        with Path(os.environ[TIMES]).open("r+b") as file:
            self._times = mmap.mmap(file.fileno(), 0)
        self._at = 0

    def __call__(self, indata: Any, outdata: Any, frames: int, clock: Any, status: Any) -> None:
        began = time.perf_counter_ns()
        super().__call__(indata, outdata, frames, clock, status)
        struct.pack_into("=q", self._times, 8 * self._at, time.perf_counter_ns() - began)
        self._at += 1


def timed_main(*arguments: Any) -> None:
    """The engine's main, with the timed callback: the target of the spawned process."""
    engine.Callback = Timed
    real_main(*arguments)


real_main = engine.main


def engine_alone(case: Case) -> dict[str, Any]:
    """The engine with nothing to play: its callback copies in and out all the same."""
    wanted = Wanted(
        name=case.device,
        host_api=JACK,
        device_inputs=case.inputs,
        device_outputs=case.outputs,
        inputs=tuple(range(1, case.inputs + 1)),
        outputs=tuple(range(1, case.outputs + 1)),
        sample_rate_hz=RATE,
        block_frames=4096,
    )
    engine.main = timed_main
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(8 * MOST_CALLBACKS)
        os.environ[TIMES] = file.name
        with closing(Engine(wanted, 8 * RATE, freewheel=False)) as running:
            pid = running.pid
            assert pid is not None
            time.sleep(WARM_S)
            began = cpu_ns(pid, threads_of(pid))
            time.sleep(case.seconds)
            used = cpu_ns(pid, threads_of(pid)) - began
            entries = log_of(running.rings)
        warm = entries["first"] >= WARM_S * RATE
        times = np.fromfile(file.name, np.int64)[: len(entries)][warm] / 1000
    percentiles = np.percentile(times, [50, 99, 99.9, 100]).round(1).tolist()
    return of_log(entries, case.period) | {"cpu_ns": used, "callback_us": percentiles}


def inline(case: Case) -> dict[str, Any]:
    """A callback as one writes it with sounddevice: copies between arrays, and notes the times."""
    import sounddevice

    total = round((WARM_S + case.seconds + 1) * RATE)
    played = np.zeros((total, case.outputs), np.float32)
    recorded = np.zeros((total, case.inputs), np.float32)
    log = np.zeros(MOST_CALLBACKS, BLOCK)
    at = [0, 0]

    def callback(indata: Any, outdata: Any, frames: int, clock: Any, status: Any) -> None:
        frame, number = at
        end = min(frame + frames, total)
        recorded[frame:end] = indata[: end - frame]
        outdata[: end - frame] = played[frame:end]
        log[number] = (frame, frames, status._flags, clock.currentTime, time.monotonic())
        at[:] = frame + frames, number + 1

    with sounddevice.Stream(
        samplerate=RATE,
        blocksize=0,
        device=case.device,
        channels=(case.inputs, case.outputs),
        dtype="float32",
        latency="high",
        callback=callback,
    ):
        time.sleep(WARM_S + case.seconds)
        entries = log[: at[1]].copy()
    return of_log(entries, case.period)


def rtmixer(case: Case) -> dict[str, Any]:
    """A buffer played and one recorded, both by C. It counts flags; times, nobody can see."""
    before = threads_of("self")
    import rtmixer as package

    total = round((WARM_S + case.seconds + 2 * POLLED_S + 1) * RATE)
    played = np.zeros((total, case.outputs), np.float32)
    recorded = np.zeros((total, case.inputs), np.float32)
    stream = package.MixerAndRecorder(
        device=case.device,
        channels=(case.inputs, case.outputs),
        samplerate=RATE,
        blocksize=0,
        latency="high",
    )
    with stream:
        stream.play_buffer(played, case.outputs)
        stream.record_buffer(recorded, case.inputs)
        time.sleep(WARM_S)
        audio_threads = threads_of("self") - before
        began, used = counts(stream), cpu_ns("self", audio_threads)
        ahead = least_ahead(stream)
        time.sleep(max(0.0, case.seconds - 2 * POLLED_S))
        lost = least_ahead(stream) - ahead
        used = cpu_ns("self", audio_threads) - used
        blocks, flagged = counts(stream) - began
        frames = int(blocks) * stream._state.stats.max_blocksize
    return {
        "callbacks": int(blocks),
        "flagged": int(flagged),
        "lost_frames": round(lost),
        "frames": frames,
        "cpu_ns": used,
    }


def counts(stream: Any) -> Any:
    """Blocks, and flags raised, so far. JACK's xruns are raised as both flags at once."""
    stats = stream._state.stats
    return np.array([stats.blocks, max(stats.input_overflows, stats.output_underflows)])


def least_ahead(stream: Any) -> float:
    """How far the stream's clock is ahead of its blocks just after a block: the least of many.

    PortAudio cuts a period of JACK's that is longer than 1024 frames into blocks of 1024.
    """
    stats = stream._state.stats
    least, end = np.inf, time.monotonic() + POLLED_S
    while time.monotonic() < end:
        frames = stats.blocks * stats.max_blocksize
        least = min(least, stream.time * RATE - frames)
        time.sleep(POLL_S)
    return least


KINDS = {"driver": driver, "engine": engine_alone, "inline": inline, "rtmixer": rtmixer}


def main() -> None:
    case = Case(**json.loads(sys.argv[1]))
    for _ in range(case.busy):
        threading.Thread(target=busy, daemon=True).start()
    print(json.dumps(KINDS[case.kind](case)))


if __name__ == "__main__":
    main()
