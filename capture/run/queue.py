"""The takes that are to be recorded, in the plan's order; one that must be recorded again goes back
to its place there."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from capture.model import Setting, Take


class Queue:
    """``skipped``: whether takes were put off to another run."""

    def __init__(self, takes: Iterable[Take]) -> None:
        self._takes: list[tuple[int, Take]] = []
        self._queued: set[str] = set()
        for take in takes:
            self.put(take)
        self._later: list[Take] = []
        self._put_off: set[Setting] = set()
        self.skipped = False

    @property
    def next(self) -> Take | None:
        """The next take, which stays where it is. Those that were put off come last."""
        if not self._takes and self._later:
            later, self._later = self._later, []
            for take in later:
                self.put(take)
        return self._takes[0][1] if self._takes else None

    def take(self) -> Take:
        """The next take, taken out."""
        take = heapq.heappop(self._takes)[1]
        self._queued.discard(take.take_id)
        return take

    def put(self, take: Take) -> None:
        """Once, however often it is asked for: a take may be withdrawn for two reasons."""
        if take.take_id not in self._queued:
            self._queued.add(take.take_id)
            heapq.heappush(self._takes, (take.index, take))

    def put_off(self, setting: Setting, *, for_good: bool) -> None:
        """Takes at ``setting`` come at the end; if they were put off before, not in this run.

        ``for_good``: not at all.
        """
        gone = [take for _, take in self._takes if take.setting == setting]
        self._takes = [(index, take) for index, take in self._takes if take.setting != setting]
        heapq.heapify(self._takes)
        self._queued -= {take.take_id for take in gone}
        if for_good:
            return
        if setting in self._put_off:
            self.skipped = True
            return
        self._put_off.add(setting)
        self._later += gone
