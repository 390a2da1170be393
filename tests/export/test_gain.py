"""Gain from a CV file: the formula of the docs, whatever is read of it at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.dataset.gain import GAIN_COLUMNS, gain_blocks
from capture.dataset.snapshot import snapshot
from capture.errors import DamagedData
from tests.export.made import Song, make, setting

COUPLING = {"cv_corner_hz": 2.5, "cv_offset_fs": 0.003, "cv_start_fs": -0.2}


def formula(root: Path, row: dict[str, float | str]) -> np.ndarray:
    """docs/measurements.md, 'AC coupling', term by term."""
    v, rate_hz = soundfile.read(root / str(row["cv_file"]))
    if row["cv_corner_hz"] is None:
        u = v
    else:
        s = v - row["cv_offset_fs"]
        w = 2 * np.pi * row["cv_corner_hz"] / rate_hz
        sums = np.concatenate([[0.0], np.cumsum(s[:-1] + s[1:])])
        u = s + row["cv_start_fs"] + w / 2 * sums
    return u * row["gain_db_per_fs"] + row["gain_db_at_zero"]


@pytest.fixture(scope="module", params=[None, COUPLING], ids=["dc", "ac"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    root = make(
        tmp_path_factory.mktemp("gain") / "ds",
        [Song("a", 0.2)],
        [(setting(), "seen")],
        request.param,
    )
    row = next(snapshot(root).rows("takes", GAIN_COLUMNS))
    return root, row, formula(root, row)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(data=st.data())
def test_any_stretch_in_any_blocks_is_the_formula(made, data: st.DataObject) -> None:
    root, row, truth = made
    start = data.draw(st.integers(0, len(truth)))
    stop = data.draw(st.one_of(st.none(), st.integers(start, len(truth))))
    block = data.draw(st.integers(1000, 10_000))
    blocks = list(gain_blocks(root, row, start, stop, block))
    got = np.concatenate([*blocks, np.empty(0, np.float32)])
    assert got.dtype == np.float32
    assert all(len(one) <= block for one in blocks)
    wanted = truth[start:stop]
    assert len(got) == len(wanted)
    assert np.allclose(got, wanted, rtol=3e-7, atol=1e-6)  # a float32 of some 100 dB


def test_a_cv_that_is_gone_is_damage(made) -> None:
    root, row, _ = made
    with pytest.raises(DamagedData, match="nowhere"):
        list(gain_blocks(root, row | {"cv_file": "nowhere.flac"}))
