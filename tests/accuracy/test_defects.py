"""The section on the take checks, on a smaller count: its targets hold."""

from __future__ import annotations

import os

import pytest

from tests.accuracy import defects, takes


def test_the_take_checks_meet_their_targets() -> None:
    if not takes.MUSIC.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs the Debian package singularity-music")
    print(defects.section(small=True))
