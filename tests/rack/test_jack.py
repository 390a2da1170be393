"""The rack on a real JACK server, and PortAudio playing on it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.hardware.rack.control import ask
from capture.hardware.rack.knobs import RackKnobs
from capture.hardware.rack.truth import Truth, read_truth
from capture.model import AUTO, Setting
from tests.jackserver import MISSING, JackServer, until
from tests.rack.conftest import RackProcess, end, said

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

Start = Callable[..., RackProcess]
RATE = 44100
Open = Callable[[np.ndarray], "Player"]
ROOT = Path(__file__).parents[2]


class Player:
    """PortAudio in a process of its own, with a stream that runs on the rack, and has to play."""

    def __init__(self, server: JackServer, folder: Path, play: np.ndarray) -> None:
        np.save(folder / "play.npy", play)
        self._result = folder / "recorded.npy"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.rack.player", folder / "play.npy", self._result],
            env=server.env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.device = json.loads(said(self.process, "{"))
        said(self.process, "started")

    def play(self) -> None:
        """Plays all of it."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        said(self.process, "played")

    def recorded(self) -> np.ndarray:
        """Closes the stream. What came back: int32 codes (n, inputs)."""
        self.process.communicate("close\n", timeout=30)
        codes = np.load(self._result).astype(np.float64) * 2.0**31
        return codes.astype(np.int64)


@pytest.fixture
def player(server: JackServer, tmp_path: Path) -> Iterator[Callable[[np.ndarray], Player]]:
    """Opens PortAudio on the rack, which has to be there."""
    with contextlib.ExitStack() as ends:

        def open_player(play: np.ndarray) -> Player:
            found = Player(server, tmp_path, play)
            ends.callback(end, found.process)
            return found

        yield open_player


def freewheeled(server: JackServer, player: Player) -> np.ndarray:
    """Has it play all while the server freewheels: what came back."""
    server.freewheel(True)
    player.play()
    server.freewheel(False)
    return player.recorded()


def noise(seconds: float, level: float = 0.3) -> np.ndarray:
    random = np.random.default_rng(1)
    return random.uniform(-level, level, (round(seconds * RATE), 2)).astype(np.float32)


def take(seconds: float) -> np.ndarray:
    """Silence, a take, silence."""
    silence = np.zeros((RATE // 2, 2), np.float32)
    return np.concatenate([silence, noise(seconds), silence])


def place(recorded: np.ndarray, sent: np.ndarray) -> int | None:
    """Where the whole of ``recorded`` stands in ``sent``, frame for frame."""
    middle = len(recorded) // 2  # noise: there is no such frame twice
    for at in np.flatnonzero((sent == recorded[middle]).all(axis=1)):
        first = int(at) - middle
        if first >= 0 and np.array_equal(sent[first : first + len(recorded)], recorded):
            return first
    return None


def only_truth(rack: RackProcess) -> Truth:
    assert rack.stop() == 0
    (found,) = read_truth(rack.truth)
    return found


def test_portaudio_sees_a_device_with_its_channels(start_rack: Start, player: Open) -> None:
    rack = start_rack()
    assert rack.line.startswith("rack: 4 outputs, 2 inputs at 44100 Hz; knobs on 127.0.0.1:")
    device = player(noise(0.1)).device
    assert device["api"] == "JACK Audio Connection Kit"
    assert (device["max_input_channels"], device["max_output_channels"]) == (4, 2)
    assert device["default_samplerate"] == RATE


def test_the_channels_are_in_order(server: JackServer, start_rack: Start, player: Open) -> None:
    """Left alone is played: it is on left and loopback, and moves the CV; right is silent."""
    rack = start_rack()
    play = take(1.0)
    play[:, 1] = 0.0
    recorded = freewheeled(server, player(play))
    level = np.abs(recorded[RATE : RATE + RATE // 2] / 2.0**31).max(axis=0)
    assert level[0] > 0.03
    assert level[1] < 0.001
    assert level[3] > 0.25
    assert only_truth(rack).inputs == ("left", "right", "cv", "loopback")


def test_in_freewheel_all_comes_back_as_it_was_sent(
    server: JackServer, start_rack: Start, player: Open
) -> None:
    rack = start_rack()
    recorded = freewheeled(server, player(take(20.0)))
    truth = only_truth(rack)
    first = place(recorded, truth.frames)
    assert first is not None
    assert not [gap for gap in truth.of("gap") if gap["frame"] > first]
    assert len(truth.of("take_begin")) == len(truth.of("take_end")) == 1


def test_in_real_time_all_comes_back_as_it_was_sent(
    server: JackServer, start_rack: Start, player: Open
) -> None:
    """A busy machine may drop frames: one of some tries is clean."""
    rack = start_rack()
    for _ in range(5):
        found = player(noise(2.0))
        found.play()
        recorded, sent = found.recorded(), rack.state()["frames"]
        until(lambda sent=sent: len(read_truth(rack.truth)[0].frames) >= sent, "the truth")
        if place(recorded, read_truth(rack.truth)[0].frames) is not None:
            return
    pytest.fail("five recordings in real time, and none without a dropout")


def test_what_is_recorded_shows_lost_frames(
    server: JackServer, start_rack: Start, player: Open
) -> None:
    rack = start_rack(faults=["ok", {"kind": "lost_frames", "frames": 3, "at_s": 0.7}])
    recorded = freewheeled(server, player(np.concatenate([take(1.0), take(1.0)])))[:, 3]
    (fault,) = only_truth(rack).of("fault")
    assert fault["frames"] == 3
    first, second = recorded[: 2 * RATE] / 2.0**31, recorded[2 * RATE :] / 2.0**31
    early = slice(round(0.8 * RATE), round(1.1 * RATE))
    late = slice(round(1.4 * RATE), round(1.5 * RATE))
    assert np.abs(first[early] - second[early]).max() < 1e-4
    assert np.abs(first[late] - np.roll(second, 3)[late]).max() < 1e-4


def test_knobs_turn_while_it_runs(start_rack: Start) -> None:
    rack = start_rack()
    setting = {"threshold_db": -20.0, "attack_ms": 1.0, "release_s": AUTO, "ratio": 4.0}
    RackKnobs(rack.port).set(Setting(setting))
    (knobs,) = only_truth(rack).of("knobs")
    assert knobs["setting"]["release_s"] == "auto"


def test_killed_and_started_again(start_rack: Start) -> None:
    """What it sent until half a second before is on disk; the next one writes files of its own."""
    rack = start_rack()
    rack.until(lambda state: state["frames"] > RATE, "a second of sound")
    last = rack.state()["frames"]
    rack.kill()
    rack.start()
    rack.until(lambda state: state["frames"] > 0, "sound of the new rack")
    assert rack.stop() == 0
    first, second = read_truth(rack.truth)
    assert len(first.frames) > last - RATE // 2 - 4096
    assert len(second.frames) > 0
    assert second.of("left")[-1]["why"] == "ended"


def test_a_server_that_was_killed_is_waited_for(server: JackServer, start_rack: Start) -> None:
    rack = start_rack()
    rack.until(lambda state: state["frames"] > 0, "sound")
    server.kill()
    rack.until(lambda state: not state["joined"], "it notices that the server is gone")
    assert rack.state()["epoch"] == 2
    server.start()
    frames = rack.state()["frames"]
    rack.until(lambda state: state["joined"] and state["frames"] > frames, "it is back")
    truth = only_truth(rack)
    assert [event["epoch"] for event in truth.of("epoch")] == [1, 2]
    assert truth.of("left")[0]["why"] == "the server shut down"


def test_it_ends_when_told_to_while_there_is_no_server(
    server: JackServer, start_rack: Start
) -> None:
    rack = start_rack()
    server.kill()
    rack.until(lambda state: not state["joined"], "it notices that the server is gone")
    try:
        assert rack.stop() == 0
    finally:
        server.start()


def test_a_freeze_is_a_gap(start_rack: Start) -> None:
    rack = start_rack()
    rack.until(lambda state: state["frames"] > 0, "sound")
    before = rack.state()["missed"]
    rack.fault(kind="freeze", at_s=0.0, for_ms=500)
    state = rack.until(lambda state: state["missed"] > before, "a gap")
    assert state["missed"] - before >= 0.4 * RATE
    truth = only_truth(rack)
    (fault,) = truth.of("fault")
    gap = next(event for event in truth.of("gap") if event["missed"] >= 0.4 * RATE)
    assert 0 < gap["frame"] - fault["frame"] <= 1024


def test_a_freeze_in_freewheel_is_none(server: JackServer, start_rack: Start) -> None:
    """The server waits: nothing is missed."""
    rack = start_rack()
    server.freewheel(True)
    before = rack.state()["missed"]
    rack.fault(kind="freeze", at_s=0.0, for_ms=100)
    frames = rack.state()["frames"] + RATE
    rack.until(lambda state: state["frames"] > frames, "it goes on")
    server.freewheel(False)
    assert rack.state()["missed"] == before
    rack.stop()


@pytest.mark.parametrize("freewheels", [False, True], ids=["real time", "freewheel"])
def test_it_vanishes_and_comes_back(
    server: JackServer, start_rack: Start, freewheels: bool
) -> None:
    rack = start_rack()
    if freewheels:
        server.freewheel(True)
    rack.fault(kind="vanish", at_s=0.0, for_s=0.3, latency_frames=1500)
    rack.until(lambda state: not state["joined"], "it is gone")
    state = rack.until(lambda state: state["joined"], "it is back")
    assert state["epoch"] == 2
    assert state["delay_frames"]["left"] == pytest.approx(1500.31 + 2048)
    server.freewheel(False)
    truth = only_truth(rack)
    (fault,) = truth.of("fault")
    (left, _) = truth.of("left")
    assert 0 < left["frame"] - fault["frame"] <= 1024
    assert left["why"] == "vanished"


def run(server_name: str | None, env: dict[str, str], **rack: Any) -> subprocess.CompletedProcess:
    program = "from capture.cli import main; main()"
    options = [part for key, value in rack.items() for part in (f"--{key}", str(value))]
    named = ["--server", server_name] if server_name else []
    command = [sys.executable, "-c", program, "rack", *named, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_rack_is_refused(server: JackServer, start_rack: Start) -> None:
    start_rack()
    ended = run(None, server.env)
    assert ended.returncode == 4
    assert "takes no client 'rack'" in ended.stderr


def test_a_server_that_is_not_there_is_named(server: JackServer) -> None:
    name = f"{server.name}-none"
    ended = run(name, server.env)
    assert ended.returncode == 4
    assert f"there is no JACK server '{name}'" in ended.stderr
    assert "jackd -n" in ended.stderr


def test_a_server_at_another_rate_is_refused() -> None:
    server = JackServer(f"t{os.getpid()}b", rate=48000)
    server.start()
    try:
        ended = run(None, server.env)
    finally:
        server.stop()
    assert ended.returncode == 4
    assert "48000 Hz" in ended.stderr
    assert "44100 Hz" in ended.stderr


def test_a_rig_that_has_no_rack_is_refused(server: JackServer) -> None:
    ended = run(None, server.env, rig="simulated")
    assert ended.returncode == 2
    assert "has no section rack" in ended.stderr


def test_the_name_and_the_port_are_free_again_at_once(
    server: JackServer, start_rack: Start
) -> None:
    rack = start_rack()
    ask(rack.port, {"do": "state"})
    assert rack.stop() == 0
    rack.start()  # the name is free again
    assert rack.stop() == 0
