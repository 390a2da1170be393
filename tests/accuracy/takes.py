"""Takes of real music through the simulated rig, as the take checks are given them.

At settings from light to 10:1 at 0.1 ms and -28 dB, on both of its laws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from capture.model import GainLaw
from tests.signal.conftest import RATE_HZ, Rack, Recorded

MUSIC = Path("/usr/share/games/singularity/music")
LAWS = ("log-detector", "circuit")
PLACES = (
    (-28, 0.1, 0.1, 10), (-28, 3, "auto", 4), (-16, 1, 0.8, 2), (-20, 0.1, 0.1, 1.5),
    (-28, 0.1, "auto", 10), (-24, 30, 1.2, 4), (-28, 0.1, 0.1, 4), (-20, 0.3, 0.4, 10),
    (-28, 1, 0.2, 10),
)  # fmt: skip
"""Threshold in dB, attack in ms, release in s, ratio."""

RACK = Rack()
CV_FS_PER_DB = -0.0497 / 2.5
"""The simulated unit's law, which a calibration would have measured."""
LAW = GainLaw(1 / CV_FS_PER_DB, -0.0031 / -0.0497, "measured")
REST_FS = 0.0031 / 2.5 + 3e-5
CV_LAG_FRAMES = 0.0614
"""Of the simulated CV's own low-pass, one pole at 20 kHz; a calibration measures it too."""


@dataclass(frozen=True)
class Take(Recorded):
    """And the CV's mean in the silence before it."""

    before_cv_fs: float = REST_FS

    @property
    def cv_delay_frames(self) -> float:
        """As a calibration would have it, against the song."""
        delays = self.truth.delay_frames
        return self.fractions[0] + delays["cv"] - delays["left"] + CV_LAG_FRAMES


@dataclass(frozen=True)
class Case:
    """A song's excerpt at a setting, on a law of the unit."""

    name: str
    song: np.ndarray
    place: tuple[Any, ...]
    law: str
    start_s: float

    def sent(self) -> np.ndarray:
        return RACK.sent(self.song)

    def take(self, *faults: dict[str, Any], **rig: Any) -> Take:
        profile = RACK.profile(self.law, always=list(faults), **rig)
        subject = f"{self.name} {self.start_s:g}"
        take = RACK.take(profile, RACK.setting(*self.place), self.sent(), subject)
        return Take(take.sent, take.received, take.truth, take.fractions, take.rate_hz)


@cache
def music(seconds: float, start_s: float) -> tuple[tuple[str, np.ndarray], ...]:
    """Excerpts of all the songs there are, at 44.1 kHz."""
    import soundfile
    import soxr

    songs = []
    for path in sorted(MUSIC.rglob("*.ogg")):
        info = soundfile.info(path)
        count = round(seconds * info.samplerate)
        # Short songs begin again.
        first = round(start_s * info.samplerate) % max(1, info.frames - count)
        audio, rate = soundfile.read(path, frames=count, start=first, always_2d=True)
        songs.append((path.stem, soxr.resample(audio, rate, RATE_HZ)))
    return tuple(songs)


def cases(count: int, seconds: float) -> Iterator[Case]:
    """``count`` takes that differ: songs by turns, at another setting each turn, on either law."""
    songs = len(music(seconds, 20.0))
    for number in range(count):
        turn = number // songs
        start_s = 20.0 + 17.0 * (turn // 4)
        name, song = music(seconds, start_s)[number % songs]
        place = PLACES[(number + turn) % len(PLACES)]
        yield Case(name, song, place, LAWS[(number + turn) % 2], start_s)
