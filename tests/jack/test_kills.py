"""The program killed over JACK, in freewheel. 20 kills: ``python -m tests.soak.kills --jack``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.jack.conftest import Lab
from tests.soak.kills import carry_out_on_jack

PLAN = {"thresholds": "-28", "attacks": "0.1, 1", "releases": "0.1, 0.3", "ratios": "4"}


@pytest.fixture(scope="module")
def period() -> int:
    return 4096


def test_a_session_over_jack_that_is_killed_again_and_again_loses_nothing(
    start_lab: Callable[..., Lab],
) -> None:
    found = carry_out_on_jack(start_lab(), PLAN, kills=3, seed=3)
    assert found.kills == 3
    assert found.takes == 12
