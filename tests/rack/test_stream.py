"""The rack's sound, without JACK: what comes back, whatever the blocks; faults; takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import DocumentFaults, HardwareFault
from capture.hardware.profile import RigProfile
from capture.hardware.rack.stream import CHUNK_FRAMES, RESERVE_FRAMES, RackStream, dac_codes
from capture.hardware.rack.takes import Begin, End, Takes
from capture.hardware.simulated import render
from capture.hardware.simulation import Freeze, Overflow, Unplug, Vanish, parse_fault
from capture.model import AUTO, Setting
from tests.rack.conftest import document

Profiles = Callable[..., RigProfile]
RATE = 44100
SETTING = Setting({"threshold_db": -20.0, "attack_ms": 1.0, "release_s": 0.1, "ratio": 4.0})
FIRST = 3000
"""Where the sound of ``played`` begins."""


def noise(frames: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.3, 0.3, (frames, 2)).astype(np.float32)


def played(sound_s: float = 1.5, silence_s: float = 0.5, sounds: int = 1) -> np.ndarray:
    """A little silence, then ``sounds`` times a sound and a silence."""
    silence = np.zeros((round(silence_s * RATE), 2), np.float32)
    parts = [part for i in range(sounds) for part in (noise(round(sound_s * RATE), i), silence)]
    return np.concatenate([np.zeros((FIRST, 2), np.float32), *parts])


def in_blocks(stream: RackStream, play: np.ndarray, size: int = 1024) -> np.ndarray:
    return np.concatenate(
        [stream.process(play[at : at + size]) for at in range(0, len(play), size)]
    )


def test_full_scale_and_rubbish_are_converted_as_a_converter_does() -> None:
    play = np.array([[1.0, -1.0], [2.0, -2.0], [np.inf, -np.inf], [np.nan, 2.0**-23]], np.float32)
    codes = dac_codes(play) >> 8
    top, bottom = 2**23 - 1, -(2**23)
    assert codes.tolist() == [[top, bottom], [top, bottom], [top, bottom], [0, 1]]


def test_it_is_the_simulated_rig_behind_a_reserve(profile: Profiles) -> None:
    """But for the last bit: the rig filters fractions of another whole, in other chunks."""
    rack = profile(quiet=True)
    play = noise(60_000)
    expected, _ = render(rack, SETTING, dac_codes(play))
    stream = RackStream(rack)
    stream.set(SETTING)
    received = in_blocks(stream, play)[RESERVE_FRAMES:]
    difference = (received >> 8).astype(np.int64) - (expected[: len(received)] >> 8)
    assert np.abs(difference).max() <= 1


def test_the_true_gain_is_told_frame_by_frame(profile: Profiles) -> None:
    rack = profile()
    play = noise(20_000)
    _, truth = render(rack, SETTING, dac_codes(play))
    told: list[np.ndarray] = []
    stream = RackStream(rack)
    stream.on_gain = told.append
    stream.set(SETTING)
    in_blocks(stream, play, 700)
    assert sum(map(len, told)) > len(play) - CHUNK_FRAMES
    stream.restart()
    gain_db = np.concatenate(told)
    assert np.allclose(gain_db, truth.gain_db, atol=1e-5)
    assert gain_db.min() < -5


def test_the_cv_of_a_unit_that_warms_up_grows(profile: Profiles) -> None:
    """By 10 % in the end, 6.3 % after half a second."""
    play, facts = noise(2 * RATE), document({})["simulation"]["cv"]
    warming = facts | {"warming_percent": 10.0, "warming_s": 0.5}
    volts: list[np.ndarray] = []
    for cv in (facts, warming):
        stream = RackStream(profile(quiet=True, cv=cv))
        stream.set(SETTING)
        recorded = in_blocks(stream, play) / 2.0**31
        volts.append(recorded[:, stream.inputs.index("cv")] - recorded[RESERVE_FRAMES, 2])
    late = round(stream.delay_frames["cv"])
    for after_s in (0.5, 1.0, 1.8):
        at = late + round(after_s * RATE)
        grown = volts[1][at] / volts[0][at]
        assert grown == pytest.approx(1 + 0.1 * (1 - np.exp(-after_s / 0.5)), abs=3e-3)


def test_what_comes_back_is_left_justified_24_bit(profile: Profiles) -> None:
    received = RackStream(profile()).process(noise(5000))
    assert received.dtype == np.int32
    assert received.shape == (5000, 4)
    assert not np.any(received & 0xFF)


SCRIPT = [
    {"kind": "drift", "ppm": 500.0},
    "cv_ac",
    {"kind": "lost_frames", "frames": 7, "at_s": 0.35},
    {"kind": "doubled_frames", "frames": 300, "at_s": 0.31},
    "swap",
]


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_the_blocks_do_not_matter(profile: Profiles, sizes: list[int]) -> None:
    """Not even for noise, for faults, or for what is told of them."""
    warming = document({})["simulation"]["cv"] | {"warming_percent": 10.0, "warming_s": 1.0}
    rack = profile(faults=SCRIPT, always=[{"kind": "freeze", "at_s": 0.4}], cv=warming)
    play = played(0.5, 0.21, sounds=len(SCRIPT))
    told: list[list[dict[str, Any]]] = []
    received: list[np.ndarray] = []
    for chosen in ([len(play)], sizes):
        told.append([])
        stream = RackStream(rack, on_event=told[-1].append)
        at, parts = 0, []
        while at < len(play):
            size = chosen[len(parts) % len(chosen)]
            parts.append(stream.process(play[at : at + size]))
            at += size
        received.append(np.concatenate(parts))
    assert np.array_equal(*received)
    assert told[0] == told[1]
    assert sum(event["event"] == "take_end" for event in told[0]) == len(SCRIPT)


def faulty(profile: Profiles, fault: Any, **more: Any) -> tuple[np.ndarray, np.ndarray, RackStream]:
    """What comes back of ``played()`` without noise: with ``fault`` in its take, and without."""
    play = played()
    good = in_blocks(RackStream(profile(quiet=True)), play)
    stream = RackStream(profile(quiet=True, faults=[fault], **more))
    return in_blocks(stream, play), good, stream


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) > 0 and bool(np.abs((a >> 8).astype(np.int64) - (b >> 8)).max() <= 1)


def test_faults_of_the_wiring_hold_from_the_take_to_its_end(profile: Profiles) -> None:
    received, good, _ = faulty(profile, {"kind": "invert", "channels": ["left"]})
    begin = FIRST + round(0.3 * RATE) + RESERVE_FRAMES
    end = FIRST + round(1.7 * RATE) + RESERVE_FRAMES
    assert same(received[:begin], good[:begin])
    held = slice(begin + 200, end - 200)
    dc = round(2.0e-5 * 2**23) * 2
    total = (received[held, 0] >> 8) + (good[held, 0] >> 8)
    assert np.abs(total - dc).max() <= 2
    assert same(received[held, 1:], good[held, 1:])
    assert same(received[end:], good[end:])


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("swap", [0, 1]),
        ({"kind": "dead", "channels": ["right"]}, [1]),
        ("cv_unplugged", [2]),
        ("cv_ac", [2]),
        ({"kind": "gain", "gain_db": 6.0}, [0, 1]),
        ({"kind": "drift", "ppm": 200.0}, [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_each_fault_of_the_wiring_changes_its_inputs(
    profile: Profiles, fault: Any, changed: list[int]
) -> None:
    received, good, _ = faulty(profile, fault)
    taken = slice(FIRST + round(0.6 * RATE), FIRST + round(1.4 * RATE))
    differ = [i for i in range(4) if not same(received[taken, i], good[taken, i])]
    assert differ == changed


@pytest.mark.parametrize(("kind", "sign"), [("lost_frames", 1), ("doubled_frames", -1)])
def test_lost_and_doubled_frames_shift_all_that_follows(
    profile: Profiles, kind: str, sign: int
) -> None:
    received, good, stream = faulty(profile, {"kind": kind, "frames": 5, "at_s": 1.0})
    at = FIRST + RATE + RESERVE_FRAMES  # the newest of the reserve
    assert same(received[: at - 5], good[: at - 5])
    behind = received[at + 5 : len(good) - 10]
    assert same(behind, good[at + 5 + 5 * sign :][: len(behind)])
    assert stream.delay_frames["left"] == pytest.approx(987.31 + RESERVE_FRAMES - 5 * sign)


def test_no_more_frames_are_lost_than_the_reserve_has(profile: Profiles) -> None:
    _, _, stream = faulty(profile, {"kind": "lost_frames", "frames": 16384, "at_s": 1.0})
    assert stream.delay_frames["left"] == pytest.approx(987.31 + CHUNK_FRAMES)
    assert stream.process(noise(10_000)).shape == (10_000, 4)
    stream.restart()
    assert stream.delay_frames["left"] == pytest.approx(987.31 + RESERVE_FRAMES)


def test_the_delay_stays_where_a_drift_has_left_it(profile: Profiles) -> None:
    _, _, stream = faulty(profile, {"kind": "drift", "ppm": 200.0})
    drifted = stream.delay_frames["left"] - 987.31 - RESERVE_FRAMES
    assert drifted == pytest.approx(200e-6 * 1.4 * RATE, abs=0.01)


@pytest.mark.parametrize("kind", ["freeze", "vanish", "unplug"])
def test_the_client_is_told_what_it_has_to_carry_out(profile: Profiles, kind: str) -> None:
    stream = RackStream(profile(faults=[{"kind": kind, "at_s": 0.7}]))
    due: dict[int, Any] = {}
    for at, block in enumerate(np.split(played()[: 70 * 1024], 70)):
        stream.process(block)
        for action in stream.take_actions():
            due[at] = action
    assert list(due) == [(FIRST + round(0.7 * RATE)) // 1024]
    assert isinstance(next(iter(due.values())), (Freeze, Vanish, Unplug))


def test_what_is_due_too_early_happens_as_the_take_is_recognised(profile: Profiles) -> None:
    told: list[dict[str, Any]] = []
    faults = [{"kind": "freeze", "at_s": 0.0}, "overflow"]
    stream = RackStream(profile(faults=faults), on_event=told.append)
    in_blocks(stream, played(0.5, 0.3, sounds=2))
    found = [event["frame"] for event in told if event["event"] == "fault"]
    assert found == [FIRST + round(0.3 * RATE), FIRST + round(1.1 * RATE)]
    assert [type(action) for action in stream.take_actions()] == [Freeze, Overflow]


def test_what_always_happens_happens_in_each_take(profile: Profiles) -> None:
    always = [{"kind": "lost_frames", "frames": 2, "at_s": 0.4}]
    stream = RackStream(profile(always=always))
    in_blocks(stream, played(0.5, 0.3, sounds=3))
    assert stream.takes == 3
    assert stream.delay_frames["left"] == pytest.approx(987.31 + RESERVE_FRAMES - 6)


def test_the_script_goes_take_by_take(profile: Profiles) -> None:
    stream = RackStream(profile(faults=["ok", {"kind": "freeze", "at_s": 0.3}, "ok"]))
    counts: list[int] = []
    for _ in range(4):
        in_blocks(stream, played(0.5, 0.3))
        counts.append(len(stream.take_actions()))
    assert counts == [0, 1, 0, 0]


def test_a_fault_on_command_counts_from_now(profile: Profiles) -> None:
    told: list[dict[str, Any]] = []
    stream = RackStream(profile(quiet=True), on_event=told.append)
    stream.process(noise(10_000))
    stream.fault(parse_fault({"kind": "lost_frames", "frames": 3, "at_s": 0.1}))
    stream.process(noise(10_000))
    assert [(e["frame"], e["frames"]) for e in told if e["event"] == "fault"] == [(14_410, 3)]


def test_wiring_on_command_holds_to_the_end_of_the_next_take(profile: Profiles) -> None:
    play = played()
    good = in_blocks(RackStream(profile(quiet=True)), play)
    stream = RackStream(profile(quiet=True))
    stream.fault(parse_fault("swap"))
    received = in_blocks(stream, play)
    taken = slice(FIRST + 4000, FIRST + RATE)
    assert not same(received[taken, :1], good[taken, :1])
    after = FIRST + round(1.7 * RATE) + RESERVE_FRAMES + 200
    assert same(received[after:], good[after:])


def test_a_knob_that_does_not_turn(profile: Profiles) -> None:
    stream = RackStream(profile(faults=["ok", "knob"]))
    stream.set(SETTING)
    in_blocks(stream, played(0.5, 0.3))
    with pytest.raises(HardwareFault, match="did not turn"):
        stream.set(SETTING)
    stream.set(SETTING)
    stream.fault(parse_fault("knob"))
    with pytest.raises(HardwareFault, match="did not turn"):
        stream.set(SETTING)
    stream.set(SETTING)


@pytest.mark.parametrize(
    "change", [{"attack_ms": 77.0}, {"threshold_db": AUTO}, {"ratio": None}, {"pan": 1.0}], ids=str
)
def test_a_setting_that_is_refused_changes_nothing(
    profile: Profiles, change: dict[str, Any]
) -> None:
    values = {k: v for k, v in {**SETTING, **change}.items() if v is not None}
    play = noise(20_000)
    refused, good = RackStream(profile()), RackStream(profile())
    with pytest.raises(HardwareFault):
        refused.set(Setting(values))
    assert np.array_equal(refused.process(play), good.process(play))


def test_it_comes_back_under_another_latency(profile: Profiles) -> None:
    stream = RackStream(profile(quiet=True))
    in_blocks(stream, played(0.1))
    stream.restart(latency_frames=1500, away_s=1.0)
    assert stream.epoch == 2
    assert stream.delay_frames["loopback"] == pytest.approx(1500.12 + RESERVE_FRAMES)
    click = np.zeros((6000, 2), np.float32)
    click[100] = 0.5
    returned = in_blocks(stream, click)[:, 3]
    assert np.argmax(np.abs(returned)) == 100 + 1500 + RESERVE_FRAMES


@pytest.mark.parametrize("kind", ["freeze", "vanish"])
def test_the_rig_in_process_refuses_what_it_cannot_do(profile: Profiles, kind: str) -> None:
    rack = profile(always=[kind])
    audio = rack.audio.model_copy(update={"driver": "simulated"})
    with pytest.raises(DocumentFaults, match="only a rack of its own"):
        rack.model_copy(update={"audio": audio}).check()


@pytest.mark.parametrize("section", ["rack", "simulation"])
def test_simulated_knobs_beside_a_real_interface_need_a_rack(
    profile: Profiles, section: str
) -> None:
    with pytest.raises(DocumentFaults, match=f"needs a section {section}"):
        profile().model_copy(update={section: None}).check()


def scanned(sounding: np.ndarray, size: int) -> list[Begin | End]:
    takes = Takes(1000)
    parts = [sounding[at : at + size] for at in range(0, len(sounding), size)]
    return [event for part in parts for event in takes.scan(part)]


def test_markers_are_no_takes_and_short_gaps_end_none() -> None:
    """At 1000 Hz: more than 300 frames of sound, more than 200 of silence behind it."""
    sounding = np.zeros(3000, bool)
    sounding[100:399] = True  # too short
    sounding[700:900] = sounding[1099:1150] = True  # one sound, with a gap
    sounding[1400] = sounding[1701] = True  # a gap that ends it; two clicks, each alone
    assert scanned(sounding, 64) == [Begin(1099, 700), End(1350)]


@given(
    runs=st.lists(st.tuples(st.integers(1, 700), st.integers(1, 400)), max_size=8),
    size=st.integers(1, 1000),
)
def test_takes_are_found_whatever_the_blocks(runs: list[tuple[int, int]], size: int) -> None:
    """Against a search frame by frame."""
    sounding = np.array([on for a, b in runs for on in [True] * a + [False] * b], bool)
    expected: list[Begin | End] = []
    first = last = None
    active = False
    for frame, on in enumerate(sounding):
        if first is not None and frame == last + 1 + 200:
            expected += [End(frame)] if active else []
            first, active = None, False
        if on:
            first, last = frame if first is None else first, frame
            if not active and frame - first >= 300:
                active = True
                expected.append(Begin(frame, first))
    found = scanned(sounding, size)
    if len(found) > len(expected):  # an end at the very end belongs to the next frame
        assert found.pop() == End(len(sounding))
    assert found == expected
