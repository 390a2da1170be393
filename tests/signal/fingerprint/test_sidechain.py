from __future__ import annotations

import numpy as np
import pytest

from capture.signal.fingerprint import sidechain
from capture.signal.fingerprint.probe import probe
from capture.signal.fingerprint.sidechain import COLUMNS, CURVE, TRANSFER

PLAN = probe(44100)
SLOPE = 3.0


def lane(threshold_db: float = -28.0, transfer: float = 0.0, fast_s: float = 0.2) -> np.ndarray:
    """A line of slope 3 above the threshold: 4:1."""
    curve = np.where(np.array(sidechain.KNOTS_DB) < 0, -12.0, np.log(SLOPE))
    row = np.array([threshold_db, np.log(5e-4), np.log(fast_s), np.log(5.0), transfer])
    return np.concatenate([row, curve])


def test_in_rest_the_ratio_is_the_loops() -> None:
    features, _ = sidechain.predict(PLAN, lane(fast_s=50.0)[None])
    ladder = features[0, PLAN.of("ladder")]
    assert ladder[0] == pytest.approx(0, abs=0.01)
    assert np.diff(ladder[-4:]) == pytest.approx(3 * SLOPE / (1 + SLOPE), abs=0.02)


def test_release_is_the_exponential_that_was_asked_for() -> None:
    features, _ = sidechain.predict(PLAN, lane()[None])
    after = PLAN.of("release")
    windows = np.array([PLAN.features[i].windows[0] for i in after]) - PLAN.held_frame
    begin, end = windows.T / 44100
    shape = (np.exp(-begin / 0.2) - np.exp(-end / 0.2)) / (end - begin)
    ratio = features[0, after] / shape
    assert ratio == pytest.approx(np.full(len(after), ratio[0]), rel=1e-6)


def test_a_second_section_remembers() -> None:
    features, _ = sidechain.predict(PLAN, np.stack([lane(), lane(transfer=1.6)]))
    release, recovery = features[:, PLAN.of("release")[-1]], features[:, PLAN.of("recovery")[-1]]
    assert release[1] > release[0] + 1
    assert recovery[1] > recovery[0] + 1


def test_above_the_ladder_nothing_happens() -> None:
    features, delays = sidechain.predict(PLAN, lane(threshold_db=8.0)[None])
    assert not features.any()
    assert not delays.any()


def test_lanes_do_not_feel_each_other() -> None:
    several = np.stack([lane(), lane(-20.0), lane(transfer=1.0)])
    together = sidechain.predict(PLAN, several)[0]
    alone = np.concatenate([sidechain.predict(PLAN, row[None])[0] for row in several])
    assert together == pytest.approx(alone, abs=1e-9)


def test_following_music_is_the_same_chain() -> None:
    first = PLAN.sections[0].frames
    levels = 20 * np.log10(np.maximum(np.abs(PLAN.samples[first : PLAN.held_frame, 0]), 1e-9))
    rows = np.stack([lane(), lane(-20.0)])
    window = PLAN.sections[1].frames // 2
    start = np.zeros((2, 2))
    means = sidechain.follow(rows, start, levels[None], np.zeros(2, np.intp), window, 44100)
    expected = sidechain.predict(PLAN, rows)[0][:, PLAN.of("ladder")]
    assert pytest.approx(expected, abs=1e-6) == means[1::2].T


def test_columns_are_named_once() -> None:
    assert lane().shape == (COLUMNS,)
    assert TRANSFER == CURVE - 1
