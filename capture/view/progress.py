"""How far a session is, counted from its events: what every view shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from capture.run import events


@dataclass(slots=True)
class Progress:
    """Figures of the session so far. ``seconds`` are of audio.

    Of the takes in flight the one that was begun last is ``current``.
    """

    to_record: int = 0
    done: int = 0
    rejected: int = 0
    seconds: float = 0.0
    seconds_done: float = 0.0
    flying: dict[str, float] = field(default_factory=dict[str, float])
    current: str = ""
    sample_rate_hz: int = 1
    started: float = field(default_factory=time.monotonic)

    def add(self, event: events.Event) -> None:
        match event:
            case events.SessionStarted():
                self.to_record, self.seconds = event.to_record, event.audio_s
                self.sample_rate_hz = event.sample_rate_hz
                self.started = time.monotonic()
            case events.TakeStarted(take):
                self.current = take.take_id
                self.flying[take.take_id] = 0.0
            case events.TakeProgress(take, frames):
                self.flying[take.take_id] = frames / self.sample_rate_hz
            case events.TakeVoid(take):
                self.flying.pop(take.take_id, None)
            case events.TakeDone(take, record):
                self.flying.pop(take.take_id, None)
                self.done += 1
                self.rejected += record.status == "rejected"
                self.seconds_done += record.num_frames / record.sample_rate_hz
            case _:
                pass

    @property
    def take_seconds(self) -> float:
        """How far the current take is."""
        return self.flying.get(self.current, 0.0)

    @property
    def _seconds_so_far(self) -> float:
        return self.seconds_done + sum(self.flying.values())

    @property
    def fraction(self) -> float:
        return self._seconds_so_far / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        elapsed = time.monotonic() - self.started
        return self._seconds_so_far / elapsed if elapsed > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Wall-clock seconds that are left at the pace so far; None before the first take."""
        if not self.seconds_done:
            return None
        return (self.seconds - self._seconds_so_far) / self.times_real_time
