"""The section on drift and lost frames, on a smaller count: its targets hold."""

from __future__ import annotations

import pytest

from tests.accuracy import drift


@pytest.mark.skipif(not drift.SONGS.exists(), reason="no songs are installed")
def test_drift_and_steps_meet_their_targets() -> None:
    print(drift.section(small=True))
