from __future__ import annotations

import numpy as np
import pytest

from capture.model import Setting
from capture.signal.fingerprint import greybox, passive
from capture.songs.demo import synthesise
from tests.signal.fingerprint.conftest import POSITIONS, Enrolled
from tests.signal.fingerprint.rack import RATE_HZ


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    """20 s, peaks at -7 dBFS."""
    groove = synthesise("groove")
    whole = np.resize(groove, (20 * RATE_HZ, 2))
    return whole * (10 ** (-7 / 20) / np.abs(whole).max())


def watch(
    found: Enrolled, label: Setting, song: np.ndarray, first: Setting, second: Setting
) -> passive.Watch:
    half = len(song) // 2
    trace = found.rack.take([(first, song[:half]), (second, song[half:])])
    return passive.watch(found.model, label, greybox.neighbours(label, POSITIONS), song, trace)


def test_the_true_label_is_confirmed(
    enrolled: Enrolled, setting: Setting, song: np.ndarray
) -> None:
    seen = watch(enrolled, setting, song, setting, setting)
    assert seen.word == "confirmed"
    assert seen.since_s is None
    assert seen.error_db is not None
    assert seen.error_db < 0.1


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


def test_a_trace_of_another_length_is_refused(
    enrolled: Enrolled, setting: Setting, song: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="frames were sent"):
        passive.watch(enrolled.model, setting, [], song, np.zeros(len(song) - 1))
