"""An iterator in a thread of its own: order, errors, an early end, a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.run.ahead import DEPTH, ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


@given(st.lists(st.integers()))
def test_order_is_kept(items: list[int]) -> None:
    assert list(ahead(items)) == items
    assert threads() == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_comes_after_the_items_before_it(error: type[BaseException]) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    stream = ahead(items())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(error):
        next(stream)
    assert threads() == []


@pytest.mark.parametrize("taken", [0, 1, 20])
def test_an_early_close_ends_the_thread(taken: int) -> None:
    asked = 0

    def items() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    stream = ahead(items())
    for number in range(taken):
        assert next(stream) == number + 1
    stream.close()
    assert threads() == []
    assert asked <= taken + DEPTH + 2


def test_an_error_of_the_taker_ends_the_thread_too() -> None:
    def take() -> None:
        for _ in ahead(iter(int, 1)):
            raise LookupError

    with pytest.raises(LookupError):
        take()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


def test_no_more_than_a_few_items_wait() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        while True:
            asked.append(0)
            yield 0

    stream = ahead(items())
    next(stream)
    time.sleep(0.1)
    assert len(asked) <= DEPTH + 2
    stream.close()
