"""The takes that are left: in the plan's order, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capture.model import Setting, Take
from capture.run.queue import Queue

TAKES = [
    Take(i, i, f"take{i}", "song", Setting({"ratio": float(i // 3)}), 1, 10, None, None)
    for i in range(12)
]


@given(st.lists(st.sampled_from(TAKES), max_size=40))
def test_a_take_that_is_put_back_twice_comes_once(again: list[Take]) -> None:
    queue = Queue(TAKES[6:])
    for take in again:
        queue.put(take)
    wanted = sorted({*TAKES[6:], *again}, key=lambda take: take.index)
    assert [queue.take() for _ in wanted] == wanted
    assert queue.next is None


def test_what_was_taken_out_can_be_put_back() -> None:
    queue = Queue(TAKES)
    first = queue.take()
    queue.put(first)
    assert queue.next is first


def test_a_setting_that_is_put_off_comes_last_and_then_not_in_this_run() -> None:
    queue = Queue(TAKES)
    queue.put_off(TAKES[0].setting, for_good=False)
    rest = [queue.take() for _ in TAKES[3:]]
    assert rest == TAKES[3:]
    assert queue.next is TAKES[0]
    assert not queue.skipped
    queue.put_off(TAKES[0].setting, for_good=False)
    assert queue.next is None
    assert queue.skipped
