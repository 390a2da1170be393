"""AC coupling: found at every corner, never where there is none; and undone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from capture.errors import MeasurementFailed
from capture.signal.coupling import LEAST_CORNER_HZ, Repair, measure
from capture.signal.gain_law import fit
from tests.signal.test_gain_law import EXACT, EXPECTED, LATE, PROBE, RATE, Played, played, simulated


def high_passed(cv: np.ndarray, corner_hz: float, charge: float, offset: float) -> np.ndarray:
    """Through a capacitor that is charged to ``charge``; bilinear, unlike any estimator here."""
    k = np.pi * corner_hz / RATE
    shown = lfilter([1 / (1 + k), -1 / (1 + k)], [1, -(1 - k) / (1 + k)], cv - charge)
    return np.asarray(shown) + offset


def coupled(
    corner_hz: float, noise_dbfs: float = -100.0, seed: int = 0, charge: float | None = None
) -> Played:
    clean = played(noise_dbfs=-200, seed=seed)
    noise = 10 ** (noise_dbfs / 20) * np.random.default_rng(seed).standard_normal(
        (3, len(clean.cv))
    )
    rest = clean.cv[0] if charge is None else charge
    cv = high_passed(clean.cv, corner_hz, rest, 3e-4)
    return Played(clean.audio + noise[:2].T, cv + noise[2])


@pytest.mark.parametrize("noise_dbfs", [-100, -60])
@pytest.mark.parametrize("corner_hz", [0.01, 0.3, 10.0])
def test_every_corner_is_found(corner_hz: float, noise_dbfs: float) -> None:
    one = coupled(corner_hz, noise_dbfs)
    found = measure(PROBE, one.audio, one.cv)
    assert found.ac
    assert abs(found.corner_hz - corner_hz) < 4 * found.corner_uncertainty_hz
    assert found.corner_uncertainty_hz < 0.02 * corner_hz
    with pytest.raises(MeasurementFailed, match="AC-coupled"):
        one.fit()


def test_a_capacitor_may_begin_with_any_charge() -> None:
    one = coupled(0.05, charge=0.25)
    found = measure(PROBE, one.audio, one.cv)
    assert found.corner_hz == pytest.approx(0.05, abs=4 * found.corner_uncertainty_hz)


def test_the_charge_says_nothing_about_the_law() -> None:
    """As in a stream that never ends: the capacitor remembers what was played before."""
    for charge in (None, -0.1, 0.25):
        law = coupled(0.1, charge=charge).fit(allow_ac=True).law
        assert law.gain_db_per_fs == pytest.approx(-50.0, rel=1e-3)
        assert law.gain_db_at_zero == pytest.approx(0.0, abs=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_there_is_no_alarm_without_coupling(seed: int) -> None:
    one = played(noise_dbfs=(-60, -80, -100)[seed % 3], seed=seed)
    found = measure(PROBE, one.audio, one.cv)
    assert not found.ac
    assert abs(found.corner_hz) < LEAST_CORNER_HZ


def test_what_is_not_straight_is_not_coupling() -> None:
    one = played()
    bent = one.cv + 0.3 * (one.cv - 0.01) ** 2
    for cv in (bent, np.clip(2 * bent, -1, 0.6), np.minimum(2 * one.cv, 1.0)):
        assert not measure(PROBE, one.audio, cv).ac


@pytest.mark.parametrize(
    ("law", "corner_hz"), [("log-detector", 0.01), ("circuit", 0.3), ("log-detector", 10.0)]
)
def test_a_repaired_cv_tells_the_gain(rack: Any, law: str, corner_hz: float) -> None:
    direct = simulated(rack, law)
    facts = {"always": [{"kind": "cv_ac", "corner_hz": corner_hz}]}
    audio, cv, expected = simulated(rack, law, **facts)
    found = fit(PROBE, audio, cv, expected, LATE, allow_ac=True)
    assert found.coupling.ac
    assert found.offset_fs == pytest.approx(3e-5, abs=2e-5)
    repaired = Repair(found.coupling.corner_hz, found.offset_fs, RATE).process(cv)
    gain_db = repaired * found.law.gain_db_per_fs + found.law.gain_db_at_zero
    right = fit(PROBE, direct[0], direct[1], expected, LATE).law
    error_db = gain_db - (direct[1] * right.gain_db_per_fs + right.gain_db_at_zero)
    print(f"{law}, {corner_hz} Hz: {np.sqrt(np.mean(error_db**2)):.4f} dB")
    assert np.sqrt(np.mean(error_db**2)) < 0.015


def test_what_noise_leaves_is_stated() -> None:
    """10 Hz and -60 dBFS: the repair walks, and ``accuracy_db`` says so."""
    quiet, noisy = (coupled(10.0, level).fit(allow_ac=True) for level in (-100, -60))
    assert quiet.accuracy_db < 0.02
    assert 0.03 < noisy.accuracy_db < 0.2


# Repair


@given(
    corner_hz=st.floats(0.01, 10),
    offset=st.floats(-0.1, 0.1),
    cuts=st.lists(st.integers(0, 20000), max_size=6),
    seed=st.integers(0, 100),
)
@settings(max_examples=15, deadline=None)
def test_repair_undoes_the_high_pass_whatever_the_blocks(
    corner_hz: float, offset: float, cuts: list[int], seed: int
) -> None:
    steps = np.random.default_rng(seed).uniform(-0.4, 0.4, 20)
    true = np.repeat(steps - steps[0], 1000)
    shown = high_passed(true, corner_hz, 0.0, offset)
    repair = Repair(corner_hz, offset, RATE)
    edges = [0, *sorted(cuts), len(shown)]
    blocks = [repair.process(shown[a:b]) for a, b in pairwise(edges)]
    assert np.abs(np.concatenate(blocks) - true).max() < 1e-9


def test_the_stated_drift_is_the_spread() -> None:
    """50 traces of 2 s, 5 Hz, white noise of -60 dBFS, an offset that is 1e-5 off."""
    random = np.random.default_rng(3)
    ends = []
    for _ in range(50):
        noise = 1e-3 * random.standard_normal(2 * RATE) + 1e-5 * random.standard_normal()
        repaired = Repair(5.0, 0.0, RATE).process(noise)
        ends.append(repaired[-1] - noise[-1])
    stated = Repair(5.0, 0.0, RATE).drift_fs(2.0, 1e-3, 1e-5)
    assert np.std(ends) == pytest.approx(stated, rel=0.3)


def test_nothing_to_repair() -> None:
    assert len(Repair(1.0, 0.0, RATE).process(np.zeros(0))) == 0


def test_a_dead_cv_has_no_coupling() -> None:
    one = played()
    noise = 1e-5 * np.random.default_rng(0).standard_normal(len(one.cv))
    with pytest.raises(MeasurementFailed, match="not connected"):
        measure(PROBE, one.audio, noise)
    with pytest.raises(MeasurementFailed, match="not connected"):
        fit(PROBE, one.audio, noise, EXPECTED, EXACT, allow_ac=True)
    with pytest.raises(MeasurementFailed, match="not connected"):
        fit(PROBE, one.audio, np.zeros(len(noise)), EXPECTED, EXACT)
