"""The section on levels, on a smaller count: its targets hold."""

from __future__ import annotations

from tests.accuracy import levels


def test_gains_of_the_plan_and_latency_at_work_meet_their_targets() -> None:
    print(levels.section(small=True))
