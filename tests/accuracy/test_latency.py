"""The section on latency, on a smaller count: its targets hold."""

from __future__ import annotations

from tests.accuracy import latency


def test_latency_and_markers_meet_their_targets() -> None:
    print(latency.section(small=True))
