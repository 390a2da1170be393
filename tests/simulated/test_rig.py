"""The rig behind its ports: streaming, seeds, settling, faults, knobs."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import BadInput, HardwareFault
from capture.hardware.ports import Label
from capture.hardware.simulated import open_simulated, render
from capture.hardware.simulated.rig import CHUNK_FRAMES
from capture.model import AUTO

RATE = 44100
TAKE = Label("take", "song-a")


def noise(seconds, seed=1, peak=2**22):
    rng = np.random.default_rng(seed)
    return rng.integers(-peak, peak, (round(seconds * RATE), 2)).astype(np.int32) << 8


def record(rig, play, label=TAKE):
    return np.concatenate(list(rig.audio.record([play], label)))


def opened(profile, setting, **options):
    rig = open_simulated(profile, **options)
    rig.knobs.set(setting)
    return rig


LONG = noise(1.2)
PLAYED = {}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 20000), max_size=12))
def test_blocks_leave_no_trace(packaged, at, cuts):
    faults = [{"kind": "drift", "ppm": 30}, {"kind": "lost_frames", "at_s": 0.4, "frames": 7}]
    profile = packaged(always=faults)
    if not PLAYED:
        PLAYED["whole"] = record(opened(profile, at(release="auto")), LONG)
    edges = [0, *np.cumsum(cuts).clip(max=len(LONG)), len(LONG)]
    blocks = [LONG[a:b] for a, b in itertools.pairwise(edges)]
    rig = opened(profile, at(release="auto"))
    recording = rig.audio.record(iter(blocks), TAKE)
    parts = list(recording)
    assert np.concatenate(parts).tobytes() == PLAYED["whole"].tobytes()
    assert recording.interval.frames == len(LONG)


def test_it_streams(packaged, at):
    """The first block comes back long before the last one is played; memory does not grow."""
    played = 0

    def play(blocks):
        nonlocal played
        for _ in range(blocks):
            played += 4096
            yield np.full((4096, 2), 2**28, np.int32)

    rig = opened(packaged(), at())
    blocks = iter(rig.audio.record(play(50), TAKE))
    next(blocks)
    assert played <= CHUNK_FRAMES + 4096
    peaks = []
    for count in (20, 400):
        tracemalloc.start()
        for _ in rig.audio.record(play(count), TAKE):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_truth_covers_what_was_played(packaged, at):
    truths = []
    lost = [{"kind": "lost_frames", "frames": 900, "at_s": 0.1}]
    rig = opened(packaged(always=lost), at(), on_truth=truths.append)
    record(rig, LONG)
    assert sum(len(truth.gain_db) for truth in truths) == len(LONG)
    whole = render(packaged(), at(), LONG)[1]
    assert np.concatenate([truth.gain_db for truth in truths]).tobytes() == whole.gain_db.tobytes()
    assert whole.output.shape == (len(LONG), 2)
    assert set(whole.delay_frames) == {"left", "right", "cv", "loopback"}


def test_interval_counts_frames_since_opening(ideal, at):
    rig = opened(ideal(), at())
    rig.audio.settle(1000)
    recording = rig.audio.record([LONG[:500], LONG[:0], LONG[:70]], TAKE)
    with pytest.raises(RuntimeError):
        _ = recording.interval
    list(recording)
    assert (recording.interval.first_frame, recording.interval.frames) == (1000, 570)
    assert recording.interval.flags == frozenset()
    again = rig.audio.record([LONG[:5]], TAKE)
    list(again)
    assert again.interval.first_frame == 1570


def test_nothing_played_is_nothing_recorded(ideal, at):
    rig = opened(ideal(), at())
    recording = rig.audio.record([], TAKE)
    assert list(recording) == []
    assert recording.interval.frames == 0


@pytest.mark.parametrize("block", [np.zeros((4, 3), np.int32), np.zeros((4, 2))])
def test_other_blocks_are_refused(ideal, at, block):
    with pytest.raises(ValueError, match="int32"):
        list(opened(ideal(), at()).audio.record([block], TAKE))


def test_a_recording_depends_on_seed_and_label_and_not_on_the_past(packaged, at):
    fresh = record(opened(packaged(), at()), LONG)
    rig = opened(packaged(), at(release=0.8))
    record(rig, noise(0.7, seed=9), Label("latency", "x"))
    rig.knobs.set(at())
    rig.audio.settle(6 * RATE)
    np.testing.assert_array_equal(record(rig, LONG), fresh)
    others = [Label("take", "song-a", 2), Label("take", "song-b"), Label("latency", "song-a")]
    for label in others:
        rig = opened(packaged(), at())
        assert (record(rig, LONG, label)[:, 0] != fresh[:, 0]).mean() > 0.5
    assert (record(opened(packaged(seed=2), at()), LONG)[:, 0] != fresh[:, 0]).mean() > 0.5


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize("release", [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, AUTO])
def test_the_packaged_settle_times_flush_every_release(packaged, at, release, law):
    profile = packaged(unit={"law": law})
    control = next(c for c in profile.control_values if c.name == "release_s")
    settle_s = max(profile.settle.between_takes_s, control.settle_s(release))
    setting = at(-28.0, 1.0, release, 10.0)
    truths = []
    rig = opened(profile, setting, on_truth=truths.append)
    record(rig, np.full((RATE // 2, 2), 2**31 - 256, np.int32))
    assert truths[-1].gain_db[-1] < -22
    rig.audio.settle(round(settle_s * RATE))
    again = record(rig, LONG)
    np.testing.assert_array_equal(again, record(opened(profile, setting), LONG))


@pytest.mark.parametrize("release", [0.3, AUTO])
def test_settling_is_silence(ideal, at, release):
    gains = []
    for settle in (True, False):
        truths = []
        rig = opened(ideal(), at(release=release), on_truth=truths.append)
        record(rig, noise(0.3, peak=2**23))
        if settle:
            rig.audio.settle(RATE // 2)
        else:
            record(rig, np.zeros((RATE // 2, 2), np.int32))
        record(rig, np.zeros((1, 2), np.int32))
        gains.append(truths[-1].gain_db[0])
    assert gains[0] < -0.1
    rest_db = 0.001  # a capacitor with less is taken for empty
    assert gains[0] == pytest.approx(gains[1], abs=rest_db if release is AUTO else 1e-9)


EDITS = st.lists(st.tuples(st.integers(0, 50000), st.integers(-3000, 3000)), max_size=4)


@settings(max_examples=30, deadline=None)
@given(EDITS)
def test_lost_and_doubled_frames_are_just_that(ideal, at, edits):
    """Against the clean recording, followed by the silence that is recorded on, spliced."""
    edits = sorted((frame, count) for frame, count in edits if count)
    always = [
        {
            "kind": "lost_frames" if count > 0 else "doubled_frames",
            "frames": abs(count),
            "at_s": frame / RATE,
        }
        for frame, count in edits
    ]
    play = noise(1.0)
    silence = np.zeros((20000, 2), np.int32)
    clean = record(opened(ideal(), at()), np.concatenate([play, silence]))
    for frame, count in edits:
        repeated = clean[max(0, frame + min(0, count)) : frame]
        rest = clean[frame + max(0, count) :]
        clean = np.concatenate([clean[:frame], repeated if count < 0 else repeated[:0], rest])
    got = record(opened(ideal({"always": always}), at()), play)
    np.testing.assert_array_equal(got, clean[: len(play)])


def test_swap_invert_dead(ideal, at):
    clean = record(opened(ideal(), at()), LONG)

    def spoilt(*always):
        return record(opened(ideal({"always": list(always)}), at()), LONG)

    np.testing.assert_array_equal(spoilt("swap"), clean[:, [1, 0, 2, 3]])
    inverted = spoilt({"kind": "invert", "channels": ["right", "cv"]})
    np.testing.assert_allclose(inverted, clean * np.array([1, -1, -1, 1.0]), atol=256)
    dead = spoilt({"kind": "dead", "channels": ["right"]}, "cv_unplugged")
    assert not dead[:, 1:3].any()
    np.testing.assert_array_equal(dead[:, [0, 3]], clean[:, [0, 3]])


def test_unplugged_inputs_still_have_noise(packaged, at):
    got = record(opened(packaged(always=["dead", "cv_unplugged"]), at()), LONG) / 2**31
    assert 20 * np.log10(got[:, 0].std()) == pytest.approx(-98.5, abs=1.5)
    assert abs(got[:, 2].mean() - 3e-5) < 1e-6


def test_ac_coupled_cv_droops_with_its_corner(ideal, at):
    play = np.full((3 * RATE, 2), 2**30, np.int32)
    flat = record(opened(ideal(), at()), play)[:, 2]
    fault = {"kind": "cv_ac", "corner_hz": 0.2}
    droop = record(opened(ideal({"always": [fault]}), at()), play)[:, 2]
    assert flat[RATE:].std() < 1e-3 * flat[-1]
    slope = np.polyfit(np.arange(2 * RATE) / RATE, np.log(droop[RATE:]), 1)[0]
    assert -slope / (2 * math.pi) == pytest.approx(0.2, rel=1e-3)


def test_drift_in_a_take(ideal, at):
    """After a second at +100 ppm the returns lie 4.41 frames later, at -100 ppm earlier."""
    play = noise(1.1, peak=2**18)
    for ppm in (100.0, -100.0):
        fault = {"kind": "drift", "ppm": ppm}
        clean = record(opened(ideal(), at(threshold=12.0)), play)[-2048:, 0] * 1.0
        moved = record(opened(ideal({"always": [fault]}), at(threshold=12.0)), play)[-2048:, 0]
        whole = np.fft.irfft(np.fft.rfft(moved * np.hanning(2048)) * np.conj(np.fft.rfft(clean)))
        peak = int(np.argmax(whole))
        expected = ppm * 1e-6 * (len(play) - 1024)
        assert (peak + 1024) % 2048 - 1024 == round(expected)


SCRIPT = ["ok", {"kind": "gain", "gain_db": 60}, "overflow", "dead"]


def test_the_script_is_told_take_by_take(ideal, at):
    rig = opened(ideal({"faults": SCRIPT}), at())
    play = noise(0.1, peak=2**20)
    clean = record(opened(ideal(), at()), play)
    got, flags = [], []
    for purpose in ("take", "latency", "take", "take", "latency", "take", "take"):
        rig.audio.settle(10 * RATE)
        recording = rig.audio.record([play], Label(purpose, "s"))
        got.append(np.concatenate(list(recording)))
        flags.append(recording.interval.flags)
    for index in (0, 1, 3, 4, 6):
        np.testing.assert_array_equal(got[index], clean)
    assert np.abs(got[2][:, 0].astype(float)).max() >= 2**31 - 256
    assert not got[5][:, 0].any()
    assert flags[3] == {"input_overflow"}
    assert not any(flags[:3] + flags[4:])


def test_unplug_loses_the_device_until_it_is_opened_anew(ideal, at):
    rig = opened(ideal({"faults": ["ok", {"kind": "unplug", "at_s": 0.5}]}), at())
    record(rig, LONG)
    blocks = iter(rig.audio.record([LONG], TAKE))
    assert len(next(blocks)) == CHUNK_FRAMES
    with pytest.raises(HardwareFault, match="lost"):
        next(blocks)
    for use in (lambda: rig.audio.settle(1), lambda: rig.audio.record([LONG], TAKE)):
        with pytest.raises(HardwareFault, match="open the rig again"):
            use()
    short = opened(ideal({"faults": ["unplug"]}), at())
    with pytest.raises(HardwareFault):
        record(short, LONG[:100])


def test_knobs_fail_once_for_each_entry(ideal, at):
    rig = open_simulated(ideal({"faults": ["ok", "knob", "overflow"]}))
    rig.knobs.set(at())
    record(rig, LONG[:100])
    with pytest.raises(HardwareFault, match="did not turn"):
        rig.knobs.set(at())
    assert rig.knobs.set(at()).confirmed == "acknowledged"
    recording = rig.audio.record([LONG[:100]], TAKE)
    list(recording)
    assert recording.interval.flags
    broken = open_simulated(ideal({"always": ["knob"]}))
    for _ in range(3):
        with pytest.raises(HardwareFault):
            broken.knobs.set(at())


def test_a_wrong_knob_says_nothing_and_sounds_like_where_it_is(ideal, at):
    wrong = [{"control": "ratio", "position": 4, "actual": 3}]
    profile = ideal({"wrong_knobs": wrong})
    rig = open_simulated(profile)
    assert rig.knobs.set(at(ratio=4.0)).position is None
    np.testing.assert_array_equal(record(rig, LONG), record(opened(ideal(), at(ratio=3.0)), LONG))
    right = render(ideal(), at(ratio=10.0), LONG, TAKE)[0]
    np.testing.assert_array_equal(render(profile, at(ratio=10.0), LONG, TAKE)[0], right)


def test_other_sample_rates(packaged, at, ideal):
    for rate_hz in (48000, 96000):
        audio = packaged().audio.model_copy(update={"sample_rate_hz": rate_hz})
        profile = ideal().model_copy(update={"audio": audio})
        play = np.zeros((rate_hz, 2), np.int32)
        play[: rate_hz // 2] = 2**30
        rig = opened(profile, at(release=0.6))
        assert rig.audio.sample_rate_hz == rate_hz
        tail = -render(profile, at(release=0.6), play)[1].gain_db[rate_hz // 2 :]
        slope = np.polyfit(np.arange(len(tail)) / rate_hz, np.log(tail), 1)[0]
        assert -1 / slope == pytest.approx(560e3 * 0.47e-6, rel=1e-9)


def test_a_rig_without_loopback_has_three_columns(ideal, at):
    profile = ideal()
    inputs = profile.audio.inputs.model_copy(update={"loopback": None})
    audio = profile.audio.model_copy(update={"inputs": inputs})
    rig = opened(profile.model_copy(update={"audio": audio}), at())
    assert rig.audio.inputs == ("left", "right", "cv")
    np.testing.assert_array_equal(record(rig, LONG), record(opened(profile, at()), LONG)[:, :3])


def test_what_cannot_be_simulated_is_refused(ideal, at):
    profile = ideal()
    with pytest.raises(BadInput, match="simulation"):
        open_simulated(profile.model_copy(update={"simulation": None}))
    controls = {name: c for name, c in profile.controls.items() if name != "ratio"}
    with pytest.raises(BadInput, match="ratio"):
        open_simulated(profile.model_copy(update={"controls": controls}))
    with pytest.raises(HardwareFault, match="threshold"):
        open_simulated(profile).knobs.set(at(threshold=1e6))
