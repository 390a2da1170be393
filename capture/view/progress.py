"""How far a session is, counted from its events: what every view shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from capture.run import events


@dataclass(slots=True)
class Progress:
    """Figures of the session so far. ``seconds`` are of audio."""

    to_record: int = 0
    done: int = 0
    rejected: int = 0
    seconds: float = 0.0
    seconds_done: float = 0.0
    take_seconds: float = 0.0
    sample_rate_hz: int = 1
    started: float = field(default_factory=time.monotonic)

    def add(self, event: events.Event) -> None:
        match event:
            case events.SessionStarted():
                self.to_record, self.seconds = event.to_record, event.audio_s
                self.sample_rate_hz = event.sample_rate_hz
                self.started = time.monotonic()
            case events.TakeStarted():
                self.take_seconds = 0.0
            case events.TakeProgress(frames=frames):
                self.take_seconds = frames / self.sample_rate_hz
            case events.TakeDone(record=record):
                self.done += 1
                self.rejected += record.status == "rejected"
                self.seconds_done += record.num_frames / record.sample_rate_hz
                self.take_seconds = 0.0
            case _:
                pass

    @property
    def fraction(self) -> float:
        return (self.seconds_done + self.take_seconds) / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        elapsed = time.monotonic() - self.started
        return (self.seconds_done + self.take_seconds) / elapsed if elapsed > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Wall-clock seconds that are left at the pace so far; None before the first take."""
        if not self.seconds_done:
            return None
        return (self.seconds - self.seconds_done - self.take_seconds) / self.times_real_time
