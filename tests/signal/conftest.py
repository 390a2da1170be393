"""Takes on the simulated rig, with its truth, and what the checks say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from capture import presets
from capture.documents import read
from capture.hardware.ports import Label
from capture.hardware.profile import RigProfile
from capture.hardware.simulated import Truth, render
from capture.model import AUTO, CheckLimits, CheckResult, Setting
from capture.run.calibrate import expected_law
from capture.signal.checks import TakeMeter
from capture.songs.demo import synthesise

RATE_HZ = 44100
FULL_SCALE = 2.0**31


@dataclass(frozen=True)
class Recorded:
    """A take as the recorder cuts it: what was sent, what came back, what is true."""

    sent: np.ndarray
    received: np.ndarray
    truth: Truth
    fractions: tuple[float, float]
    rate_hz: int


class Rack:
    """The packaged simulated rig and variations of it."""

    def __init__(self) -> None:
        self._text = presets.packaged("rig", "simulated")

    def profile(
        self, law: str = "log-detector", rate_hz: int = RATE_HZ, **simulation: Any
    ) -> RigProfile:
        """``simulation``: seed, always, or fields of the converters."""
        data = read(self._text, "simulated.yaml").data
        data["audio"]["sample_rate_hz"] = rate_hz
        facts = data["simulation"]
        facts["unit"]["law"] = law
        for name in ("seed", "always"):
            if name in simulation:
                facts[name] = simulation.pop(name)
        facts["converters"] |= simulation
        profile = RigProfile.model_validate(data)
        profile.check()
        return profile

    def setting(
        self,
        threshold: float = -28.0,
        attack: float = 0.1,
        release: float | str = 0.1,
        ratio: float = 4.0,
    ) -> Setting:
        return Setting(
            {
                "threshold_db": threshold,
                "attack_ms": attack,
                "release_s": AUTO if isinstance(release, str) else release,
                "ratio": ratio,
            }
        )

    def codes(self, song: np.ndarray) -> np.ndarray:
        """Full scale 1 as 24-bit converter values."""
        whole = np.clip(np.rint(song * 2**23), -(2**23), 2**23 - 1)
        return whole.astype(np.int32) << 8

    def sent(self, song: np.ndarray, peak_dbfs: float = -7.0) -> np.ndarray:
        """As the presets send songs: peaks at -12 dBFS, and 5 dB of send gain."""
        return self.codes(song * (10 ** (peak_dbfs / 20) / np.abs(song).max()))

    def take(
        self, profile: RigProfile, setting: Setting, sent: np.ndarray, subject: str = "take"
    ) -> Recorded:
        assert profile.simulation is not None
        latency = profile.simulation.converters.latency_frames
        play = np.concatenate([sent, np.zeros((latency, 2), np.int32)])
        received, truth = render(profile, setting, play, Label("take", subject))
        received = received[latency:]
        fractions = tuple(truth.delay_frames[side] - latency for side in ("left", "right"))
        rate_hz = profile.audio.sample_rate_hz
        return Recorded(sent, received, truth, (fractions[0], fractions[1]), rate_hz)

    def meter(
        self,
        take: Recorded,
        blocks: Iterable[int] | int = 65536,
        origin: Literal["expected", "measured"] = "expected",
    ) -> TakeMeter:
        """``blocks``: the size of each block, or the edges between them."""
        cv = self.profile().cv
        meter = TakeMeter(take.rate_hz, replace(expected_law(cv), origin=origin))
        frames = len(take.received)
        edges = list(range(0, frames, blocks)) if isinstance(blocks, int) else [0, *blocks]
        for start, stop in zip(edges, [*edges[1:], frames], strict=True):
            if stop > start:
                block = take.received[start:stop]
                meter.add(take.sent[start:stop], block[:, :2], block[:, 2])
        return meter

    def checks(
        self, take: Recorded, planned: int | None = None, limits: CheckLimits | None = None
    ) -> dict[str, CheckResult]:
        frames = len(take.sent) if planned is None else planned
        found = self.meter(take).verdicts(frames, take.fractions, limits or CheckLimits())
        return {check.name: check for check in found}

    def verdict(self, take: Recorded, name: str, **options: Any) -> str:
        found = self.meter(take, **options).verdicts(len(take.sent), take.fractions, CheckLimits())
        return next(check.verdict for check in found if check.name == name)

    def failed(self, take: Recorded, **options: Any) -> set[str]:
        return {n for n, c in self.checks(take, **options).items() if c.verdict == "fail"}


@pytest.fixture(scope="session")
def rack() -> Rack:
    return Rack()


@pytest.fixture(scope="session")
def groove(rack: Rack) -> np.ndarray:
    """A demo song as it is sent."""
    return rack.sent(synthesise("groove"))


@pytest.fixture(scope="session")
def music() -> Callable[[int], Sequence[tuple[str, np.ndarray]]]:
    """Real songs at 44.1 kHz, as many seconds of each as asked; none where none are installed."""
    folder = Path("/usr/share/games/singularity/music")

    def load(seconds: int) -> list[tuple[str, np.ndarray]]:
        import soundfile
        import soxr

        songs = []
        for path in sorted(folder.rglob("*.ogg")):
            rate = soundfile.info(path).samplerate
            audio, _ = soundfile.read(path, frames=seconds * rate, always_2d=True)
            songs.append((path.stem, soxr.resample(audio, rate, RATE_HZ)))
        return songs

    return load
