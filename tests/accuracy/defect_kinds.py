"""What can be wrong with a take: made by the rig (its fault kinds), or by hand in the codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from capture.hardware.ports import Label
from capture.hardware.simulated import open_simulated
from tests.accuracy.takes import RACK, Case, Take, music
from tests.signal.conftest import RATE_HZ

Change = Callable[[Take, float, np.random.Generator], Take]


@dataclass(frozen=True)
class Defect:
    """``sizes`` from the largest on; the one that must be found everywhere is ``stated``.

    ``make`` gives the take that has it. ``checks``: any of these failing is finding it.
    ``may_hide`` says why it cannot be seen on all music: then ``least_share`` must be found.
    """

    title: str
    unit: str
    sizes: tuple[float, ...]
    stated: float | None
    checks: tuple[str, ...]
    make: Callable[[Case, float, np.random.Generator], Take]
    may_hide: str = ""
    least_share: float = 1.0


def by_rig(fault: Callable[[float], dict[str, Any]]) -> Any:
    return lambda case, size, random: case.take(fault(size))


def by_hand(change: Change) -> Any:
    return lambda case, size, random: change(case.take(), size, random)


def added(take: Take, signal: np.ndarray) -> Take:
    """``signal`` (frames, 3), full scale 1, on top of what was received."""
    whole = take.received[:, :3] / 2.0**31 + signal
    received = take.received.copy()
    received[:, :3] = np.clip(np.rint(whole * 2**23), -(2**23), 2**23 - 1).astype(np.int32) << 8
    return replace(take, received=received)


def late(take: Take, frames: float, random: np.random.Generator) -> Take:
    count = int(frames)
    noise = (random.standard_normal((count, take.received.shape[1])) * 1e-5 * 2**23).astype(
        np.int32
    )
    return replace(take, received=np.concatenate([noise << 8, take.received])[: len(take.sent)])


def other_song(case: Case, _: float, random: np.random.Generator) -> Take:
    songs = [song for song in music(len(case.song) / RATE_HZ, case.start_s) if song[0] != case.name]
    name, song = songs[random.integers(len(songs))]
    return replace(replace(case, name=name, song=song).take(), sent=case.sent())


def other_setting(case: Case, _: float, random: np.random.Generator) -> Take:
    """The CV of the same song at another ratio and release."""
    take, other = case.take(), replace(case, place=(case.place[0], 10, 0.6, 3)).take()
    received = take.received.copy()
    received[:, 2] = other.received[:, 2]
    return replace(take, received=received)


def crosstalk(take: Take, level_db: float, _: np.random.Generator) -> Take:
    leak = take.received[:, 1] / 2.0**31 * 10 ** (level_db / 20)
    return added(take, np.stack([leak, 0 * leak, 0 * leak], 1))


def cv_clipped(case: Case, below_db: float, _: np.random.Generator) -> Take:
    """At ``below_db`` less reduction than the deepest of the take."""
    deepest = -float(case.take().truth.gain_db.min())
    high_v = 0.0497 * max(0.0, deepest - below_db) + 0.0031
    return case.take({"kind": "cv_clip", "high_v": high_v})


def cv_frozen(take: Take, _: float, random: np.random.Generator) -> Take:
    """It stands at 8 dB of reduction, with its noise."""
    received = take.received.copy()
    noise = random.standard_normal(len(received)) * 1e-5
    received[:, 2] = np.rint((0.16 + noise) * 2**23).astype(np.int32) << 8
    return replace(take, received=received)


def cv_late(take: Take, frames: float, _: np.random.Generator) -> Take:
    received = take.received.copy()
    received[:, 2] = np.roll(received[:, 2], int(frames))
    received[: int(frames), 2] = received[int(frames), 2]
    return replace(take, received=received)


def clip_run(channel: int) -> Change:
    def change(take: Take, frames: float, random: np.random.Generator) -> Take:
        received = take.received.copy()
        at = int(random.integers(1000, len(received) - 1000))
        received[at : at + int(frames), channel] = 2**31 - 2**8
        return replace(take, received=received)

    return change


def clicked(take: Take, level_dbfs: float, random: np.random.Generator) -> Take:
    """One sample of one channel."""
    signal = np.zeros((len(take.received), 3))
    signal[random.integers(RATE_HZ, len(signal) - RATE_HZ), 0] = 10 ** (level_dbfs / 20)
    return added(take, signal)


def repeated(take: Take, frames: float, random: np.random.Generator) -> Take:
    """A buffer is handed out in place of the next one."""
    count, received = int(frames), take.received.copy()
    at = int(random.integers(RATE_HZ, len(received) - RATE_HZ))
    received[at : at + count] = received[at - count : at]
    return replace(take, received=received)


def stuck(take: Take, frames: float, random: np.random.Generator) -> Take:
    received = take.received.copy()
    at = int(random.integers(RATE_HZ, len(received) - RATE_HZ))
    received[at : at + int(frames) + 1, 1] = received[at, 1]
    return replace(take, received=received)


def offset(take: Take, level_dbfs: float, _: np.random.Generator) -> Take:
    return added(take, np.full((len(take.received), 3), [10 ** (level_dbfs / 20), 0, 0]))


def noisy(case: Case, level_dbfs: float, random: np.random.Generator) -> Take:
    """With a second of silence before the song."""
    song = np.concatenate([np.zeros((RATE_HZ, 2)), case.song])
    take = replace(case, song=song).take()
    noise = random.standard_normal((len(song), 3)) * 10 ** (level_dbfs / 20) * [1, 1, 0]
    return added(take, noise)


def unsettled(case: Case, pause_s: float, _: np.random.Generator) -> Take:
    """The same song was played ``pause_s`` before, in auto release or 1.2 s."""
    profile = RACK.profile(case.law)
    assert profile.simulation is not None
    sent, latency = case.sent(), profile.simulation.converters.latency_frames
    rig = open_simulated(profile)
    rig.knobs.set(RACK.setting(-28, 1, "auto", 4))
    for _ in rig.audio.record([sent], Label("take", "before")):
        pass
    rig.audio.settle(round(pause_s * RATE_HZ))
    silence = np.zeros((latency, 2), np.int32)
    play = np.concatenate([silence, sent, silence])
    received = np.concatenate(list(rig.audio.record([play], Label("take", case.name))))
    rig.close()
    before = float(received[latency : 2 * latency - 64, 2].mean()) / 2.0**31
    return replace(case.take(), received=received[2 * latency :], before_cv_fs=before)


def knob_moved(_: float) -> dict[str, Any]:
    setting = {"threshold_db": -12, "attack_ms": 1, "release_s": 0.4, "ratio": 4}
    return {"kind": "knob_moved", "at_s": 5.0, "setting": setting}


CV = ("cv_scatter_db", "cv_clip_db", "cv_slope_percent")
DEFECTS = (
    Defect("late", "frames", (8583, 512, 64, 8, 1), 8583, ("lag_head_frames", "coherence"),
           by_hand(late), "music whose delay nothing in it shows"),
    Defect("frames lost", "frames", (64, 1), 1, ("lag_step_frames", "lag_tail_frames"),
           by_rig(lambda size: {"kind": "lost_frames", "frames": int(size), "at_s": 5.0})),
    Defect("frames doubled", "frames", (64, 1), 1, ("lag_step_frames", "lag_tail_frames"),
           by_rig(lambda size: {"kind": "doubled_frames", "frames": int(size), "at_s": 5.0})),
    Defect("drift", "ppm", (20, 5, 3), 5, ("drift_ppm",),
           by_rig(lambda size: {"kind": "drift", "ppm": size})),
    Defect("polarity turned", "", (1,), 1, ("polarity",),
           by_rig(lambda _: {"kind": "invert", "channels": ["left", "right"]})),
    Defect("polarity of one return turned", "", (1,), 1, ("polarity",),
           by_rig(lambda _: {"kind": "invert", "channels": ["right"]})),
    Defect("left and right swapped", "", (1,), 1, ("swap",), by_rig(lambda _: {"kind": "swap"}),
           "channels that are alike"),
    Defect("wrong song", "", (1,), 1, ("coherence",), other_song),
    Defect("dead return", "", (1,), 1, ("level_left_db",),
           by_rig(lambda _: {"kind": "dead", "channels": ["left"]})),
    Defect("crosstalk", "dB", (-20, -26, -29, -35), -26, ("crosstalk_db",), by_hand(crosstalk),
           "channels that are alike"),
    Defect("offset", "dBFS", (-20, -26, -29), -26, ("dc_dbfs",), by_hand(offset)),
    Defect("hum", "dBFS", (-50, -60, -63, -66), -60, ("hum_dbfs",),
           by_rig(lambda size: {"kind": "hum", "level_dbfs": size})),
    Defect("noise floor, in a silent second", "dBFS", (-40, -46, -49), -46, ("noise_dbfs",), noisy),
    Defect("noise burst of 0.1 s", "dBFS", (-40, -50, -60, -70), -50, ("burst_db",),
           by_rig(lambda size: {"kind": "burst", "level_dbfs": size, "at_s": 6.0})),
    Defect("click of one sample", "dBFS", (-10, -20, -30, -40), None,
           ("click_db",), by_hand(clicked)),
    Defect("clip run", "frames", (16, 3), 3, ("full_scale_run_frames",), by_hand(clip_run(0))),
    Defect("clip run, CV", "frames", (16, 3), 3, ("full_scale_run_frames",), by_hand(clip_run(2))),
    Defect("stuck input", "frames", (256, 64), 64, ("stuck_run_frames",), by_hand(stuck)),
    Defect("stale block", "frames", (1024, 256, 64), 256,
           ("repeated_run_frames",), by_hand(repeated)),
    Defect("CV unplugged", "", (1,), 1, ("cv_unplugged_db",),
           by_rig(lambda _: {"kind": "cv_unplugged"})),
    Defect("CV stands still", "", (1,), 1, ("cv_flat_share",), by_hand(cv_frozen)),
    Defect("CV inverted", "", (1,), 1, ("cv_inverted",),
           by_rig(lambda _: {"kind": "invert", "channels": ["cv"]})),
    Defect("CV of another setting", "", (1,), 1, CV, other_setting),
    Defect("CV late", "frames", (8, 2, 1), 1, ("cv_delay_frames",), by_hand(cv_late)),
    Defect("CV clipped below its deepest", "dB", (3, 1, 0.5, 0.2), 1, CV, cv_clipped,
           "what is so deep for a moment only moves no gain that counts", 0.5),
    Defect("CV behind a high-pass", "Hz", (10, 1, 0.1, 0.03, 0.01), 0.01, ("cv_coupling_hz",),
           by_rig(lambda size: {"kind": "cv_ac", "corner_hz": size})),
    Defect("CV law off at 20 dB", "dB", (0.5, 0.33, 0.22), 0.33, ("cv_slope_percent",),
           by_rig(lambda size: {"kind": "cv_scale", "percent": 5 * size})),
    Defect("played again after a pause in auto release", "s", (1, 5, 20), 5,
           ("settle_db",), unsettled),
    Defect("knob moved in mid-take", "", (1,), None, (), by_rig(knob_moved)),
)  # fmt: skip
