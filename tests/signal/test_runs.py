"""longest_run against the plainest implementation there is."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.signal.levels import dbfs, longest_run

masks = st.lists(st.booleans(), max_size=60)


def naive(mask: list[bool]) -> int:
    return max((len(list(run)) for value, run in itertools.groupby(mask) if value), default=0)


def ending(mask: list[bool]) -> int:
    return len(list(itertools.takewhile(bool, reversed(mask))))


@given(masks, st.integers(0, 10))
def test_it_is_the_longest_run(mask: list[bool], before: int) -> None:
    longest, last = longest_run(np.array(mask, bool), before)
    whole = [True] * before + mask
    # A run that ended before the array was told of by the call that saw it end.
    assert longest == naive(whole)
    if mask:
        assert last == ending(whole)


@given(st.lists(masks.filter(bool), max_size=8))
def test_runs_go_on_from_block_to_block(blocks: list[list[bool]]) -> None:
    longest = last = 0
    for block in blocks:
        found, last = longest_run(np.array(block), last)
        longest = max(longest, found)
    assert longest == naive([value for block in blocks for value in block])


def test_silence_has_no_level() -> None:
    assert dbfs(0.0) is None
    assert dbfs(1.0) == 0.0
    assert dbfs(0.1) == -20.0
