from __future__ import annotations

from pathlib import Path

from tests.soak.kills import carry_out


def test_a_session_that_is_killed_again_and_again_is_as_one_that_never_was(tmp_path: Path) -> None:
    """200 kills of 324 takes: ``python -m tests.soak.kills``."""
    found = carry_out(tmp_path, ratios="4", kills=6, seed=5)
    assert found.kills >= 1
    assert found.takes == 54
