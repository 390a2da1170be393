"""The section on small counts; it asserts its own targets."""

from __future__ import annotations

from tests.accuracy.cv_delay import section


def test_the_targets_are_reached() -> None:
    print(section(small=True))
