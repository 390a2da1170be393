from __future__ import annotations

import numpy as np
import pytest

from capture.signal.fingerprint.probe import BURST_DBFS, LADDER_DBFS, probe

RATES = (44100, 48000, 96000)


@pytest.mark.parametrize("rate", RATES)
def test_it_takes_less_than_twelve_seconds(rate: int) -> None:
    assert probe(rate).frames / rate < 12


@pytest.mark.parametrize("rate", RATES)
def test_every_step_reaches_its_level_and_begins_with_a_half_period(rate: int) -> None:
    plan = probe(rate)
    mono = plan.samples[:, 0]
    levels = []
    for at, section in plan.starts():
        part = mono[at : at + section.frames]
        if section.peak_dbfs is None:
            assert not part.any()
            continue
        levels.append(section.peak_dbfs)
        assert 20 * np.log10(np.abs(part).max()) == pytest.approx(section.peak_dbfs)
        assert section.frames % (2 * section.half_period) == 0
        assert abs(part.mean()) < 1e-12
    assert levels == [*LADDER_DBFS, *BURST_DBFS * 3]


@pytest.mark.parametrize("rate", RATES)
def test_tones_are_where_they_are_said_to_be(rate: int) -> None:
    tones = {s.half_period for s in probe(rate).sections if s.peak_dbfs is not None}
    low, high = sorted(rate / 2 / half for half in tones)
    assert low == pytest.approx(1000, rel=0.03)
    assert high == pytest.approx(8000, rel=0.1)


@pytest.mark.parametrize("rate", RATES)
def test_windows_lie_within_the_probe_and_hold_frames(rate: int) -> None:
    plan = probe(rate)
    for feature in plan.features:
        for first, stop in feature.windows:
            assert plan.rest_frames <= first < stop <= plan.frames


def test_both_channels_are_alike() -> None:
    samples = probe(44100).samples
    assert np.array_equal(samples[:, 0], samples[:, 1])


def test_a_rate_that_cannot_hold_the_burst_is_refused() -> None:
    with pytest.raises(ValueError, match="32000 Hz or more, not 22050"):
        probe(22050)
