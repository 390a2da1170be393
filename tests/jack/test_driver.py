"""The driver on its own, in real time: who comes too late is told so, and the next one is none
the worse for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from capture.documents import read
from capture.hardware.portaudio.driver import RING_S, PortAudioAudio
from capture.hardware.ports import Interval, Label
from capture.hardware.profile import RigProfile
from tests.jack.conftest import Lab
from tests.jackserver import until
from tests.session.conftest import RATE_HZ

TAKE = Label("take", "driver")


@pytest.fixture
def audio(start_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    lab = start_lab()
    for name, value in lab.server.variables.items():
        monkeypatch.setenv(name, value)
    path = lab.folder / lab.rig(freewheel=False)
    profile = RigProfile.model_validate(read(path.read_text(), "rig.yaml").data)
    found = PortAudioAudio(profile.audio)
    yield found
    found.close()


def noise(seconds: float) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(-(2**18), 2**18, (round(seconds * RATE_HZ), 2)).astype(np.int32) << 8


def recorded(audio: PortAudioAudio) -> tuple[np.ndarray, Interval]:
    """A second of noise, and what came back of it."""
    recording = audio.record([noise(1.0)], TAKE)
    return np.concatenate(list(recording)), recording.interval


def test_play_out_that_comes_too_late_is_starved(audio: PortAudioAudio) -> None:
    def play() -> Iterator[np.ndarray]:
        yield noise(1.0)
        frame = audio.frames
        until(lambda: audio.frames > frame + 3 * RATE_HZ, "three seconds pass")
        yield noise(1.0)

    recording = audio.record(play(), TAKE)
    received = sum(map(len, recording))
    assert "starved" in recording.interval.flags
    assert recording.interval.frames == received < 2 * RATE_HZ
    found, after = recorded(audio)
    assert "starved" not in after.flags
    assert len(found) == RATE_HZ


def test_what_is_read_too_late_is_overrun_also_at_the_end(audio: PortAudioAudio) -> None:
    """Long after the end of the recording its frames are overwritten, unread."""
    recording = audio.record([noise(2.0)], TAKE)
    blocks = iter(recording)
    next(blocks)
    late = audio.frames + round((RING_S + 3) * RATE_HZ)
    until(lambda: audio.frames > late, "the ring comes round", 30)
    for _ in blocks:
        pass
    assert "overrun" in recording.interval.flags
    assert recording.interval.frames < 2 * RATE_HZ
    found, after = recorded(audio)
    assert "overrun" not in after.flags
    assert len(found) == RATE_HZ


def test_a_recording_that_is_left_is_not_heard_by_the_next_one(audio: PortAudioAudio) -> None:
    blocks = iter(audio.record([noise(5.0)], TAKE))
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    recording = audio.record([np.zeros((2 * RATE_HZ, 2), np.int32)], TAKE)
    received = np.concatenate(list(recording))
    quiet = received[RATE_HZ:, :2] / 2.0**31
    assert np.sqrt(np.mean(quiet**2)) < 1e-4
