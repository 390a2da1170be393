from __future__ import annotations

import numpy as np
import pytest

from capture.model import GainLaw, Setting
from capture.signal.fingerprint import greybox, passive
from capture.signal.fingerprint.stretches import Heard, Stretches
from capture.signal.levels import codes_of
from capture.songs.demo import synthesise
from tests.signal.fingerprint.conftest import POSITIONS, Enrolled
from tests.signal.fingerprint.rack import RATE_HZ


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    """20 s, peaks at -7 dBFS."""
    groove = synthesise("groove")
    whole = np.resize(groove, (20 * RATE_HZ, 2))
    return whole * (10 ** (-7 / 20) / np.abs(whole).max())


LAW = GainLaw(-40.0, 0.0, "measured")


def heard(song: np.ndarray, trace: np.ndarray, block: int) -> Heard:
    sent, cv = codes_of(song), codes_of(trace / 40)
    kept = Stretches(RATE_HZ, len(song), LAW)
    for at in range(0, len(song), block):
        kept.add(sent[at : at + block], cv[at : at + block])
    return kept.heard()


def watch(
    found: Enrolled, label: Setting, song: np.ndarray, first: Setting, second: Setting
) -> passive.Watch:
    half = len(song) // 2
    trace = found.rack.take([(first, song[:half]), (second, song[half:])])
    near = greybox.neighbours(label, POSITIONS)
    return passive.watch(found.model, label, near, heard(song, trace, 65536))


def test_the_true_label_is_confirmed(
    enrolled: Enrolled, setting: Setting, song: np.ndarray
) -> None:
    seen = watch(enrolled, setting, song, setting, setting)
    assert seen.word == "confirmed"
    assert seen.since_s is None
    assert seen.left is not None
    assert seen.left < 1


@pytest.mark.parametrize("control", list(POSITIONS))
def test_a_knob_moved_half_way_is_found_and_dated(
    enrolled: Enrolled, setting: Setting, song: np.ndarray, control: str
) -> None:
    other = next(
        s for s in greybox.neighbours(setting, POSITIONS) if s[control] != setting[control]
    )
    seen = watch(enrolled, setting, song, setting, other)
    assert seen.word == "contradicted"
    assert seen.most_likely == other
    assert seen.since_s == pytest.approx(10, abs=3)


def test_quiet_music_is_not_verifiable(
    enrolled: Enrolled, setting: Setting, song: np.ndarray
) -> None:
    seen = watch(enrolled, setting, 0.01 * song, setting, setting)
    assert seen.word == "not verifiable"
    assert seen.most_likely is None


def test_what_is_kept_of_a_take_does_not_depend_on_the_blocks(song: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    trace = np.repeat(rng.uniform(0, 6, 200), RATE_HZ // 10)
    whole = heard(song, trace, len(song))
    assert len(whole.stretches) == 12
    for block in (1000, 65536, 300_000):
        again = heard(song, trace, block)
        np.testing.assert_array_equal(again.means_db, whole.means_db)
        for one, other in zip(again.stretches, whole.stretches, strict=True):
            assert (one.start, one.held_db) == (other.start, other.held_db)
            np.testing.assert_array_equal(one.levels_db, other.levels_db)


def test_a_stretch_holds_the_frames_that_it_names(song: np.ndarray) -> None:
    trace = np.zeros(len(song))
    trace[5 * RATE_HZ : 6 * RATE_HZ] = 4.0
    kept = heard(song, trace, 65536).stretches
    assert kept  # the parts in which the reduction stays at 0 give none
    for stretch in kept:
        first = stretch.start * (RATE_HZ // 100)
        frames = np.abs(song[first : first + len(stretch.levels_db)]).max(axis=1)
        expected = 20 * np.log10(np.maximum(frames, 1e-6))
        loud = expected > -60  # below it 24 bits tell
        np.testing.assert_allclose(stretch.levels_db[loud], expected[loud], atol=0.01)
