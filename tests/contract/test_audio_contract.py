"""What every rig must do behind the ports Audio and Knobs, whatever its driver.

A driver joins by one more entry in ``RIGS``: a context in which it is open, with its knobs standing
anywhere, and with no fault scripted. Figures that depend on the device are in ``Opened``.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from capture import presets
from capture.documents import read
from capture.errors import HardwareFault
from capture.hardware.build import open_rig
from capture.hardware.ports import Interval, Label, Rig
from capture.hardware.profile import RigProfile
from capture.model import Setting
from capture.signal import delay
from tests.jackserver import MISSING, JackServer
from tests.rack.conftest import RackProcess, document

TAKE = Label("take", "contract")


@dataclass(frozen=True)
class Opened:
    """``silence_dbfs``: louder than that no input is when nothing is played."""

    rig: Rig
    setting: Setting
    silence_dbfs: float = -70.0
    jitter_frames: float = 0.002

    def record(self, *blocks: np.ndarray, label: Label = TAKE) -> tuple[np.ndarray, Interval]:
        recording = self.rig.audio.record(blocks, label)
        received = list(recording)
        return np.concatenate(received), recording.interval


SETTING = Setting({"threshold_db": -20.0, "attack_ms": 1.0, "release_s": 0.1, "ratio": 4.0})


@contextmanager
def simulated() -> Iterator[Opened]:
    data = read(presets.packaged("rig", "simulated"), "simulated.yaml").data
    yield from closed_at_the_end(Opened(open_rig(RigProfile.model_validate(data)), SETTING))


@contextmanager
def jack(freewheel: bool) -> Iterator[Opened]:
    """PortAudio over a JACK server, with the rack as a process of its own."""
    if MISSING and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(MISSING)} (make test installs them for root)")
    server, rack = on_jack()
    data = document({})
    data["rack"]["control_port"] = rack.port
    data["audio"]["freewheel"] = freewheel
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.variables.items():
            patch.setenv(name, value)
        rig = open_rig(RigProfile.model_validate(data))
        yield from closed_at_the_end(Opened(rig, SETTING))


def closed_at_the_end(opened: Opened) -> Iterator[Opened]:
    try:
        yield opened
    finally:
        opened.rig.close()


@cache
def on_jack() -> tuple[JackServer, RackProcess]:
    """One server and one rack for all tests here; both end with this process."""
    server = JackServer(f"c{os.getpid()}")
    server.start()
    atexit.register(server.stop)
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    rack = RackProcess(server, Path(folder.name))
    atexit.register(rack.stop)
    return server, rack


RIGS: dict[str, Callable[[], AbstractContextManager[Opened]]] = {
    "simulated": simulated,
    "jack": partial(jack, freewheel=False),
    "jack-freewheel": partial(jack, freewheel=True),
}


@pytest.fixture(params=RIGS)
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    with RIGS[request.param]() as found:
        yield found


def noise(frames: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(-(2**20), 2**20, (frames, 2)).astype(np.int32) << 8


def probe(rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    signal = delay.probe(rate_hz)
    return signal, np.rint(signal * 2**23).astype(np.int32) << 8


def test_the_inputs_have_names_and_a_rate(opened: Opened) -> None:
    audio = opened.rig.audio
    assert audio.inputs[:3] == ("left", "right", "cv")
    assert len(set(audio.inputs)) == len(audio.inputs)
    assert audio.sample_rate_hz >= 8000


@pytest.mark.parametrize("sizes", [(1,), (1000,), (4096,) * 5, (1, 16384, 1, 7, 30000), (65536,)])
def test_as_many_frames_come_back_as_were_played(opened: Opened, sizes: tuple[int, ...]) -> None:
    received, interval = opened.record(*(noise(size) for size in sizes))
    assert len(received) == interval.frames == sum(sizes)


def test_blocks_are_left_justified_24_bit_codes_of_all_inputs(opened: Opened) -> None:
    audio = opened.rig.audio
    for block in audio.record([noise(50_000)], TAKE):
        assert block.dtype == np.int32
        assert block.ndim == 2
        assert len(block) > 0
        assert block.shape[1] == len(audio.inputs)
        assert not np.any(block & 0xFF)


def test_one_counter_runs_through_recordings_and_pauses(opened: Opened) -> None:
    """A stream that flows in real time may carry frames in between; it never goes back."""
    audio = opened.rig.audio
    _, first = opened.record(noise(10_000))
    _, second = opened.record(noise(5_000), noise(700))
    assert second.first_frame >= first.first_frame + first.frames
    audio.settle(12_345)
    _, third = opened.record(noise(100))
    assert third.first_frame >= second.first_frame + second.frames + 12_345
    if first.first_frame == 0 and second.first_frame == 10_000:  # a stream that waits for us
        assert third.first_frame == 10_000 + 5_700 + 12_345


def test_the_interval_is_known_at_the_end_and_not_before(opened: Opened) -> None:
    recording = opened.rig.audio.record([noise(100_000)], TAKE)
    with pytest.raises(RuntimeError, match="not been taken to its end"):
        _ = recording.interval
    blocks = iter(recording)
    next(blocks)
    with pytest.raises(RuntimeError, match="not been taken to its end"):
        _ = recording.interval
    for _ in blocks:
        pass
    assert recording.interval.frames == 100_000


def test_nothing_is_flagged_in_a_good_recording(opened: Opened) -> None:
    _, interval = opened.record(noise(100_000))
    assert interval.flags == frozenset()


def test_silence_comes_back_as_silence(opened: Opened) -> None:
    received, _ = opened.record(np.zeros((44_100, 2), np.int32))
    signal = received / 2.0**31
    for name in ("left", "right"):
        column = signal[:, opened.rig.audio.inputs.index(name)]
        assert 20 * np.log10(np.sqrt(np.mean(column**2))) < opened.silence_dbfs


def test_the_delay_is_the_same_in_every_recording_of_one_stream(opened: Opened) -> None:
    """Whatever flows in between, and in blocks of any size."""
    audio = opened.rig.audio
    signal, codes = probe(audio.sample_rate_hz)
    found: list[list[float]] = []
    for size in (65536, 4096, 1000):
        blocks = [codes[at : at + size] for at in range(0, len(codes), size)]
        received, _ = opened.record(*blocks, label=Label("latency", "probe"))
        found.append(
            [
                delay.from_probe(
                    signal[:, side],
                    received[:, audio.inputs.index(name)] / 2.0**31,
                    audio.sample_rate_hz,
                ).frames
                for side, name in enumerate(("left", "right"))
            ]
        )
        opened.record(noise(3_000))
        audio.settle(5_001)
    assert np.ptp(found, axis=0).max() < opened.jitter_frames


def test_blocks_are_taken_as_they_are_needed(opened: Opened) -> None:
    """A song is streamed: what comes back is handed out long before all of it was asked for."""
    asked = 0

    def play() -> Iterator[np.ndarray]:
        nonlocal asked
        for _ in range(200):
            asked += 4096
            yield np.zeros((4096, 2), np.int32)

    rate = opened.rig.audio.sample_rate_hz
    blocks = iter(opened.rig.audio.record(play(), TAKE))
    next(blocks)
    assert asked < 10 * rate
    assert sum(map(len, blocks)) > 0


def test_a_tail_is_recorded_after_what_is_played(opened: Opened) -> None:
    audio = opened.rig.audio
    played = noise(20_000)
    recording = audio.record([played], TAKE, tail_frames=7_000)
    received = np.concatenate(list(recording))
    assert len(received) == recording.interval.frames == 27_000
    rms = np.sqrt(np.mean((received[:, 0] / 2.0**31) ** 2))
    assert rms > 1e-3  # the end of what was played comes back in it
    _, after = opened.record(noise(100))
    assert after.first_frame >= recording.interval.first_frame + 20_000


def test_the_next_recording_may_begin_while_the_last_one_ends(opened: Opened) -> None:
    """As soon as all has been taken that is to be played: back to back, in order, each whole."""
    audio = opened.rig.audio
    taken = [threading.Event() for _ in range(3)]
    found: list[tuple[int, Interval]] = []

    def take(number: int) -> None:
        def play() -> Iterator[np.ndarray]:
            yield noise(50_000, number)
            taken[number].set()

        recording = audio.record(play(), TAKE, tail_frames=9_000)
        frames = sum(map(len, recording))
        found.append((frames, recording.interval))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
    for number, thread in enumerate(threads):
        thread.start()
        assert taken[number].wait(30)
    for thread in threads:
        thread.join(30)
    assert [frames for frames, _ in found] == [59_000] * 3
    intervals = sorted((interval for _, interval in found), key=lambda i: i.first_frame)
    assert all(not interval.flags for interval in intervals)
    for one, other in pairwise(intervals):
        assert other.first_frame >= one.first_frame + 50_000


@pytest.mark.parametrize(
    "block", [np.zeros((10, 2)), np.zeros((10, 1), np.int32), np.zeros(10, np.int32)]
)
def test_blocks_of_another_kind_are_refused(opened: Opened, block: np.ndarray) -> None:
    with pytest.raises(ValueError, match="int32"):
        list(opened.rig.audio.record([block], TAKE))


def test_the_knobs_give_proof(opened: Opened) -> None:
    proof = opened.rig.knobs.set(opened.setting)
    assert proof.confirmed in ("told", "acknowledged", "read_back", "measured")
    if proof.confirmed == "read_back":
        assert proof.position == opened.setting
    assert opened.rig.knobs.set(opened.setting) == proof


@pytest.mark.parametrize(
    "change", [{"attack_ms": 77.0}, {"threshold_db": -500.0}, {"ratio": None}], ids=str
)
def test_a_setting_that_is_not_there_is_refused(
    opened: Opened, change: dict[str, float | None]
) -> None:
    values = {**opened.setting, **change}
    setting = Setting({name: value for name, value in values.items() if value is not None})
    with pytest.raises(HardwareFault):
        opened.rig.knobs.set(setting)
    opened.rig.knobs.set(opened.setting)  # and the rig is none the worse for it
    opened.record(noise(100))


def test_closing_twice_is_harmless(opened: Opened) -> None:
    for _ in range(2):
        opened.rig.audio.close()
        opened.rig.knobs.close()
        opened.rig.close()


def test_a_closed_rig_does_nothing(opened: Opened) -> None:
    opened.rig.close()
    with pytest.raises(HardwareFault):
        opened.rig.audio.settle(1)
    with pytest.raises(HardwareFault):
        opened.rig.audio.record([noise(10)], TAKE)


def test_a_recording_does_not_go_on_after_the_close(opened: Opened) -> None:
    blocks = iter(opened.rig.audio.record((noise(4096) for _ in range(100)), TAKE))
    next(blocks)
    opened.rig.audio.close()
    with pytest.raises(HardwareFault):
        list(blocks)
