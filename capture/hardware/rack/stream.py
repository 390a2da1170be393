"""The rack's sound: one endless recording through the simulated chain. No JACK in here.

**Time.** ``frame`` counts the frames that were processed. What is sent returns after
``converters.latency_frames``, the input's skew, and ``RESERVE_FRAMES`` on top. Within the reserve
the chain works in chunks of its own, so the recording does not depend on the blocks in which it is
asked for, bit for bit, noise included. (It does depend on the seed, on what was played since the
start or the last ``restart``, and on the frames at which knobs were set and faults commanded: a
chunk is cut there.)

**Takes.** The rack cannot know what a take is. It takes for one any sound of more than 0.3 s
(``takes.py``). Entry *i* of the script ``faults`` holds in the *i*-th of them; what stands in
``always`` holds all the time or, where it happens at a moment, happens in each take.

**Faults.** Those of the wiring (swap, invert, dead, cv_unplugged, cv_ac, cv_scale, cv_clip, hum,
drift, gain) hold from where a take is recognised to its end. Those of a moment happen ``at_s``
after the first frame of its sound, but not before it is recognised, and even if the sound is over
by then:

* lost_frames and doubled_frames: the newest frames of the reserve are dropped, or come twice. All
  that follows stays shifted, as in life. The reserve gives ``RESERVE_FRAMES - CHUNK_FRAMES`` frames
  at most before it is used up, and no more are lost than it has; ``restart`` makes it whole. No
  more frames come twice than it holds.
* drift: the delay of the chain itself goes, and stays where the drift has left it (never below 16
  frames) until the next ``restart``.
* burst and knob_moved begin with the next frame that the chain processes; the knobs stay where they
  were turned until they are set again.
* freeze, vanish, overflow and unplug are the client's to carry out: ``take_actions`` hands them out
  behind the block in which they are due.
* knob: the knobs refuse to turn for that take, once.

A fault that is commanded counts its ``at_s`` from now; one of the wiring holds from now to the end
of the take that is under way, or of the next one.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import HardwareFault
from capture.hardware.ports import Label, Samples
from capture.hardware.profile import RigProfile
from capture.hardware.rack.takes import Begin, End, Takes
from capture.hardware.simulated.chain import Chain, Wiring, inputs_of
from capture.hardware.simulated.rig import Script, at_rest
from capture.hardware.simulation import (
    CONTROLS,
    AnyFault,
    Burst,
    DoubledFrames,
    Freeze,
    KnobFault,
    KnobMoved,
    KnobSlips,
    LostFrames,
    Overflow,
    Unplug,
    Vanish,
)
from capture.model import Setting, format_value

CHUNK_FRAMES = 1024
RESERVE_FRAMES = 2048

FULL_SCALE = np.float32(2**23)

Play = NDArray[np.float32]
Action = Freeze | Vanish | Unplug | Overflow
Event = dict[str, Any]
Gain = NDArray[np.float32]

_OF_A_MOMENT = (
    LostFrames, DoubledFrames, Burst, KnobMoved, Freeze, Vanish, Unplug, Overflow,
)  # fmt: skip
_TAKES_FIRST, _FAULTS_NEXT = 0, 1


def dac_codes(play: Play) -> Samples:
    """Floats (n, 2), full scale 1.0, as 24-bit codes, left-justified: rounds and clips."""
    codes = np.rint(play * FULL_SCALE)
    np.clip(codes, -FULL_SCALE, FULL_SCALE - 1, out=codes)
    return np.nan_to_num(codes, copy=False).astype(np.int32) << 8


def _ignore(item: Event | Gain) -> None:
    pass


class RackStream:
    """What comes back for what is sent, without an end.

    ``on_event`` is told at once what the stream does: mappings with ``event`` and ``frame``.
    ``on_gain`` is told the unit's true gain in dB for every frame that was played to it, in order,
    float32 (n,) at a time, a chunk late: negative = attenuation, without make-up gain.
    ``compiled``: see ``open_simulated``. Raises BadInput if the profile cannot be simulated.
    """

    def __init__(
        self,
        profile: RigProfile,
        *,
        on_event: Callable[[Event], None] = _ignore,
        compiled: bool | None = None,
    ) -> None:
        self._profile = profile
        self._simulation, self._unit = at_rest(profile, compiled=compiled)
        self._script = Script(self._simulation.faults)
        self._tell = on_event
        self.on_gain: Callable[[Gain], None] = _ignore
        self.inputs = inputs_of(profile)
        self.frame = 0
        self.epoch = 0
        self.takes = 0
        self._heard = 0  # frames that the unit has heard
        self._ordered = Script([])
        self._actions: list[Action] = []
        self._order = itertools.count()
        self._start(self._simulation.converters.latency_frames)

    def _start(self, latency_frames: int) -> None:
        """Delay lines as after a long silence, nothing due, no take under way."""
        rate_hz = self._profile.audio.sample_rate_hz
        facts = self._simulation.converters.model_copy(update={"latency_frames": latency_frames})
        simulation = self._simulation.model_copy(update={"converters": facts})
        self.epoch += 1
        self._held: list[AnyFault] = []  # faults of the wiring
        label = Label("latency", "rack", self.epoch)
        self._chain = Chain(self._profile, simulation, self._unit, self._wiring(), label)
        self._waiting: list[Samples] = []  # less than a chunk of what was sent
        self._count = 0
        self._ready, _ = self._chain.process(np.zeros((RESERVE_FRAMES, 2), np.int32))
        self._takes = Takes(rate_hz, self.frame)
        self._agenda: list[tuple[int, int, int, Callable[[], None]]] = []

    def restart(self, latency_frames: int | None = None, away_s: float = 0.0) -> None:
        """The rack was away: what was on its way is gone, what was due is forgotten.

        ``latency_frames`` replaces ``converters.latency_frames``; None: the profile's.
        """
        if self._takes.active:
            self._end_take()
        self._flush()
        self._unit.settle(round(away_s * self._profile.audio.sample_rate_hz))
        self._start(latency_frames or self._simulation.converters.latency_frames)

    @property
    def delay_frames(self) -> dict[str, float]:
        """By input: after how many frames what is sent next will return."""
        reserve = len(self._ready) + self._count
        return {name: reserve + delay for name, delay in self._chain.delays_now().items()}

    def process(self, play: Play) -> Samples:
        """What returns while ``play`` float32 (n, 2) is sent: int32 (n, inputs), as ``Samples``."""
        codes = dac_codes(play)
        for event in self._takes.scan((codes[:, 0] | codes[:, 1]) != 0):
            self._at(event.frame, _TAKES_FIRST, self._take_event(event))
        done, end = 0, self.frame + len(codes)
        returned: list[Samples] = []
        while self._agenda and self._agenda[0][0] < end:
            frame, _, _, act = heapq.heappop(self._agenda)
            ahead = frame - self.frame
            returned.append(self._pass(codes[done : done + ahead]))
            done += ahead
            act()
        returned.append(self._pass(codes[done:]))
        return np.concatenate(returned)

    def take_actions(self) -> list[Action]:
        """What the client has to carry out now, once."""
        actions, self._actions = self._actions, []
        return actions

    def set(self, setting: Setting) -> None:
        """Turns the knobs, from the next frame on. Raises HardwareFault; then nothing changed."""
        broken = any(isinstance(fault, KnobFault) for fault in self._simulation.always)
        if broken:
            raise HardwareFault(f"the rack's knobs did not turn to {setting}")
        for script in (self._ordered, self._script):
            setting = script.turned(setting)
        if missing := [name for name in CONTROLS if name not in setting]:
            raise HardwareFault(f"the rack must be told {', '.join(missing)} too")
        if unknown := [name for name in setting if name not in CONTROLS]:
            raise HardwareFault(f"the rack has no knob {', '.join(unknown)}")
        self._flush()
        self._unit.set(setting)
        knobs = {name: format_value(value) for name, value in setting.items()}
        self._tell({"event": "knobs", "frame": self.frame, "setting": knobs})

    def fault(self, fault: AnyFault) -> None:
        """A fault on command."""
        self._begin_fault(fault, self.frame)

    def _at(self, frame: int, rank: int, act: Callable[[], None]) -> None:
        """``act`` will run before frame number ``frame``; the order is that of rank, then calls."""
        item = (max(frame, self.frame), rank, next(self._order), act)
        heapq.heappush(self._agenda, item)

    def _take_event(self, event: Begin | End) -> Callable[[], None]:
        return self._end_take if isinstance(event, End) else lambda: self._begin_take(event.first)

    def _begin_take(self, first: int) -> None:
        self.takes += 1
        fault = self._script.next_take()
        happens = {"take": self.takes, "first_frame": first, "fault": fault.model_dump()}
        self._tell({"event": "take_begin", "frame": self.frame, **happens})
        always = [f for f in self._simulation.always if isinstance(f, _OF_A_MOMENT)]
        for due in (*always, fault):
            if due.kind not in ("ok", "knob", "knob_slips"):
                self._begin_fault(due, first)

    def _end_take(self) -> None:
        self._tell({"event": "take_end", "frame": self.frame, "take": self.takes})
        if self._held:
            self._held = []
            self._flush()

    def _begin_fault(self, fault: AnyFault, first: int) -> None:
        """A fault of a sound, or a command's, that began with frame ``first``."""
        if isinstance(fault, _OF_A_MOMENT):
            at_s = 0.0 if isinstance(fault, Overflow) else fault.at_s
            frame = first + round(at_s * self._profile.audio.sample_rate_hz)
            self._at(frame, _FAULTS_NEXT, lambda: self._happen(fault))
        elif isinstance(fault, (KnobFault, KnobSlips)):
            self._ordered.add(fault)
        else:
            self._held.append(fault)
            self._flush()
            self._tell_fault(fault)

    def _happen(self, fault: AnyFault) -> None:
        match fault:
            case LostFrames() | DoubledFrames():
                self._tell_fault(fault, frames=self._splice(fault))
            case Burst() | KnobMoved():
                self._flush()
                self._chain.begin(fault.model_copy(update={"at_s": 0.0}))
                self._tell_fault(fault)
            case Freeze() | Vanish() | Unplug() | Overflow():
                self._actions.append(fault)
                self._tell_fault(fault)
            case _:
                pass

    def _tell_fault(self, fault: AnyFault, **more: int) -> None:
        self._tell({"event": "fault", "frame": self.frame, "fault": fault.model_dump(), **more})

    def _splice(self, fault: LostFrames | DoubledFrames) -> int:
        """Loses or doubles the newest frames of the reserve; returns how many."""
        self._flush()
        there = len(self._ready)
        if isinstance(fault, DoubledFrames):
            count = min(fault.frames, there)
            self._ready = np.concatenate([self._ready, self._ready[there - count :]])
        else:
            count = min(fault.frames, max(0, there - CHUNK_FRAMES))
            self._ready = self._ready[: there - count]
        return count

    def _wiring(self) -> Wiring:
        """What happens at a moment of a take is not of the wiring, though it may always happen."""
        always = [f for f in self._simulation.always if not isinstance(f, _OF_A_MOMENT)]
        wiring = Wiring.of([*always, *self._held])
        wiring.cv_scale *= self._simulation.cv.warmth(
            self._heard / self._profile.audio.sample_rate_hz
        )
        return wiring

    def _pass(self, codes: Samples) -> Samples:
        """As many frames as are sent, with nothing happening in between."""
        frames = len(codes)
        self._feed(codes)
        returned, self._ready = self._ready[:frames], self._ready[frames:]
        self.frame += frames
        return returned

    def _feed(self, codes: Samples) -> None:
        """Brings the reserve as far as whole chunks go."""
        while self._count + len(codes) >= CHUNK_FRAMES:
            head, codes = np.split(codes, [CHUNK_FRAMES - self._count])
            self._waiting.append(head)
            self._count = CHUNK_FRAMES
            self._flush()
        if len(codes):
            self._waiting.append(codes)
            self._count += len(codes)

    def _flush(self) -> None:
        """Brings the reserve up to the last frame that was sent; the next is wired as of now."""
        if self._count:
            recorded, truth = self._chain.process(np.concatenate(self._waiting))
            self._ready = np.concatenate([self._ready, recorded])
            self.on_gain(truth.gain_db.astype(np.float32))
            self._heard += self._count
            self._waiting, self._count = [], 0
        self._chain.rewire(self._wiring())
