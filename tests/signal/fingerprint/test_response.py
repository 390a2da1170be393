from __future__ import annotations

import numpy as np
import pytest

from capture.errors import MeasurementFailed
from capture.model import GainLaw
from capture.signal.fingerprint import response
from capture.signal.fingerprint.probe import probe

PLAN = probe(44100)
LAW = GainLaw(gain_db_per_fs=-50.0, gain_db_at_zero=1.0, origin="expected")
SLOPE, THRESHOLD_DB, KNEE_DB = 0.75, -24.0, 6.0
ATTACK_S, FAST_S = 0.002, 0.1


def knee(level_db: float) -> float:
    over = level_db - THRESHOLD_DB
    if over <= -KNEE_DB / 2:
        return 0.0
    if over < KNEE_DB / 2:
        return SLOPE * (over + KNEE_DB / 2) ** 2 / (2 * KNEE_DB)
    return SLOPE * over


def textbook(slow: float = 0.0, slow_s: float = 4.0) -> np.ndarray:
    """The reduction of a unit with exactly these figures: exponentials between static levels."""
    trace = np.zeros(PLAN.frames)
    held = 0.0
    for at, section in PLAN.starts():
        t = np.arange(section.frames) / 44100
        if section.peak_dbfs is None:
            fall = (1 - slow) * np.exp(-t / FAST_S) + slow * np.exp(-t / slow_s)
            part = held * fall
        else:
            target = knee(section.peak_dbfs)
            part = target + (held - target) * np.exp(-t / ATTACK_S)
        trace[at : at + section.frames] = part
        held = float(part[-1])
    return trace


def measured(trace: np.ndarray, noise_db: float = 0.0) -> response.Response:
    rng = np.random.default_rng(1)
    cv = 0.1 + (trace + noise_db * rng.standard_normal(len(trace))) / 50
    reduction = response.reduction(PLAN, cv, LAW)
    audio = PLAN.samples * 10 ** (-trace[:, None] / 20) * 0.5
    return response.response(PLAN, reduction, response.features(PLAN, reduction), audio)


@pytest.mark.parametrize("noise_db", [0.0, 0.05])
def test_the_fields_terms_of_a_textbook_unit(noise_db: float) -> None:
    found = measured(textbook(), noise_db)
    assert found.threshold_db
    assert found.slope
    assert found.ratio
    assert found.knee_db
    assert found.threshold_db.value == pytest.approx(THRESHOLD_DB, abs=0.1)
    assert found.slope.value == pytest.approx(SLOPE, abs=0.005)
    assert found.ratio.value == pytest.approx(4.0, abs=0.05)
    assert found.knee_db.value == pytest.approx(KNEE_DB, abs=0.5)
    assert found.attack_ms
    assert found.release_fast_ms
    assert found.attack_ms.value == pytest.approx(2.197 * 1000 * ATTACK_S, rel=0.05)
    assert found.release_fast_ms.value == pytest.approx(1000 * FAST_S, rel=0.01)
    assert found.release_slow_ms is None
    assert found.slow_share is None


def test_uncertainties_cover_the_errors() -> None:
    found = measured(textbook(), 0.2)
    truth = {
        found.threshold_db: THRESHOLD_DB,
        found.slope: SLOPE,
        found.knee_db: KNEE_DB,
        found.release_fast_ms: 1000 * FAST_S,
    }
    for figure, value in truth.items():
        assert figure is not None
        assert figure.uncertainty > 0
        assert abs(figure.value - value) < 4 * figure.uncertainty


def test_a_second_exponential_is_found_where_there_is_one() -> None:
    found = measured(textbook(slow=0.4), 0.01)
    assert found.release_fast_ms
    assert found.release_slow_ms
    assert found.slow_share
    assert found.release_fast_ms.value == pytest.approx(100, rel=0.03)
    assert found.release_slow_ms.value == pytest.approx(4000, rel=0.1)
    assert found.slow_share.value == pytest.approx(0.4, abs=0.02)


def test_too_little_reduction_is_not_measurable() -> None:
    found = measured(0.04 * textbook(), 0.01)
    assert found.most_reduction_db < 1
    figures = (found.threshold_db, found.slope, found.ratio, found.knee_db, found.attack_ms)
    assert figures == (None,) * 5
    assert found.release_fast_ms is None


def test_noise_is_measured_and_smaller_for_longer_windows() -> None:
    rng = np.random.default_rng(2)
    reduction = 0.05 * rng.standard_normal(PLAN.frames)
    found = response.features(PLAN, reduction)
    attack, ladder = PLAN.of("attack")[0], PLAN.of("ladder")[0]
    first, stop = PLAN.features[attack].windows[0]
    assert found.noise_db[attack] == pytest.approx(0.05 / (3 * (stop - first)) ** 0.5, rel=0.1)
    assert found.noise_db[ladder] < found.noise_db[attack]
    errors = np.array(found.values_db) / np.array(found.noise_db)
    assert np.sqrt(np.mean(errors**2)) < 1.5


def test_audio_and_cv_agree_or_it_is_said_by_how_much() -> None:
    trace = textbook()
    assert measured(trace).audio_error_db < 0.1
    reduction = response.reduction(PLAN, trace / 50, LAW)
    other = PLAN.samples * 10 ** (-1.1 * trace[:, None] / 20)
    features = response.features(PLAN, reduction)
    found = response.response(PLAN, reduction, features, other)
    assert found.audio_error_db == pytest.approx(0.1 * trace.max(), rel=0.05)


def test_a_unit_that_was_not_at_rest_is_refused() -> None:
    fall = np.exp(-np.arange(PLAN.frames) / (5 * 44100))
    with pytest.raises(MeasurementFailed, match="not at rest"):
        response.reduction(PLAN, (textbook() + 3 * fall) / 50, LAW)


def test_a_recording_that_is_too_short_is_refused() -> None:
    with pytest.raises(MeasurementFailed, match="100 frames"):
        response.reduction(PLAN, np.zeros(100), LAW)
