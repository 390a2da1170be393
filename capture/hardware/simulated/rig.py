"""The simulated rig behind the ports that every rig has.

What is played is cut into chunks of fixed size whatever the blocks it comes in, so the blocks
cannot be heard in the recording; memory holds a chunk and the delay lines, however long it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

import numpy as np

from capture.errors import BadInput, DeviceLost, HardwareFault
from capture.hardware.ports import Interval, Label, Proof, Recording, Rig, Samples, checked
from capture.hardware.profile import RigProfile
from capture.hardware.simulated import law
from capture.hardware.simulated.chain import Chain, Truth, Wiring, inputs_of
from capture.hardware.simulated.edits import double, lose, up_to
from capture.hardware.simulated.unit import Unit
from capture.hardware.simulation import (
    CONTROLS,
    AnyFault,
    KnobFault,
    KnobSlips,
    Ok,
    Simulation,
    Unplug,
)
from capture.hardware.turns import Turns
from capture.model import Setting

CHUNK_FRAMES = 16384

OnTruth = Callable[[Truth], None]


class SimulatedAudio:
    """The audio port. ``on_truth`` is told the truth of each chunk before the chunk is handed out.

    The truth covers every frame that was played, in order, once.
    """

    def __init__(
        self,
        profile: RigProfile,
        simulation: Simulation,
        unit: Unit,
        script: Script,
        on_truth: OnTruth | None = None,
    ) -> None:
        self.profile = profile
        self.simulation = simulation
        self.unit = unit
        self.on_truth = on_truth
        self.frames = 0
        self.lost = False
        self.turns = Turns()
        self._script = script

    @property
    def sample_rate_hz(self) -> int:
        return self.profile.audio.sample_rate_hz

    @property
    def inputs(self) -> tuple[str, ...]:
        return inputs_of(self.profile)

    def settle(self, frames: int) -> None:
        with self.turns.mine():
            self.require()
            self.unit.settle(frames)
            self.frames += frames

    def record(
        self, play: Iterable[Samples], label: Label, tail_frames: int = 0
    ) -> SimulatedRecording:
        self.require()
        if tail_frames:
            play = itertools.chain(play, [np.zeros((tail_frames, 2), np.int32)])
        faults = list(self.simulation.always)
        faults.append(self._script.next_of(label.purpose))
        wiring = Wiring.of(faults)
        wiring.cv_scale *= self.simulation.cv.warmth(self.frames / self.sample_rate_hz)
        return SimulatedRecording(self, play, label, wiring)

    def require(self) -> None:
        """Raises DeviceLost if the device was lost."""
        if self.lost:
            raise DeviceLost("the simulated audio device is gone; open the rig again")

    def close(self) -> None:
        self.lost = True


class SimulatedRecording(Recording):
    """See ``ports.Recording``."""

    def __init__(
        self, audio: SimulatedAudio, play: Iterable[Samples], label: Label, wiring: Wiring
    ) -> None:
        self._audio = audio
        self._play = play
        self._wiring = wiring
        self._label = label
        self._played = 0
        super().__init__(self._run())

    def _run(self) -> Generator[Samples, None, Interval]:
        with self._audio.turns.mine():
            return (yield from self._play_all())

    def _play_all(self) -> Generator[Samples, None, Interval]:
        audio, wiring = self._audio, self._wiring
        first, emitted = audio.frames, 0
        end = wiring.unplug_at_s
        for block in self._edited(self._rendered()):
            audio.require()
            audio.frames += len(block)
            emitted += len(block)
            if end is not None and emitted >= end * audio.sample_rate_hz:
                break
            if len(block):
                yield block
        if end is not None:
            audio.lost = True
            raise DeviceLost(f"the simulated audio device was lost at {self._label.subject}")
        return Interval(first, emitted, wiring.flags)

    def _counted(self) -> Iterator[Samples]:
        for block in checked(self._play):
            self._played += len(block)
            yield block

    def _rendered(self) -> Iterator[Samples]:
        """What the converters deliver: a frame for each that is played, then for each to lose."""
        audio = self._audio
        chain = Chain(audio.profile, audio.simulation, audio.unit, self._wiring, self._label)
        lost = sum(frames for _, frames in self._wiring.edits if frames > 0)
        silence = [np.zeros((lost, 2), np.int32)] if lost else []
        told = 0
        for chunk in _chunks(itertools.chain(self._counted(), silence)):
            recorded, truth = chain.process(chunk)
            if audio.on_truth and told < self._played:
                keep = slice(0, self._played - told)
                audio.on_truth(
                    replace(truth, gain_db=truth.gain_db[keep], output=truth.output[keep])
                )
            told += len(chunk)
            yield recorded

    def _edited(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """Loses and doubles frames, and hands out no more than were played."""
        edits = self._wiring.edits
        for at_s, frames in edits:
            frame = round(at_s * self._audio.sample_rate_hz)
            blocks = lose(blocks, frame, frames) if frames > 0 else double(blocks, frame, -frames)
        return up_to(blocks, lambda: self._played) if edits else blocks


def _chunks(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same frames in chunks of ``CHUNK_FRAMES``, the last one shorter."""
    waiting: list[Samples] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count < CHUNK_FRAMES:
            continue
        joined = np.concatenate(waiting)
        whole = count - count % CHUNK_FRAMES
        for at in range(0, whole, CHUNK_FRAMES):
            yield joined[at : at + CHUNK_FRAMES]
        waiting, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(waiting)


class Script:
    """The scripted faults: which take is the next one, and what befalls what is no take."""

    def __init__(self, faults: Iterable[AnyFault]) -> None:
        faults = list(faults)
        self._others = [f for f in faults if isinstance(f, Unplug) and f.during != "take"]
        self._faults = [fault for fault in faults if fault not in self._others]

    def add(self, fault: AnyFault) -> None:
        self._faults.append(fault)

    def next_take(self) -> AnyFault:
        return self._faults.pop(0) if self._faults else Ok()

    def next_of(self, purpose: str) -> AnyFault:
        """What befalls the next recording that is made for ``purpose``."""
        if purpose == "take":
            return self.next_take()
        found = next((fault for fault in self._others if fault.during == purpose), None)
        if found is None:
            return Ok()
        self._others.remove(found)
        return found

    def turned(self, setting: Setting) -> Setting:
        """Where the knobs go when told to turn to ``setting`` for the next take.

        An entry that has to do with it is used up. Raises HardwareFault where they refuse.
        """
        fault = self._faults[0] if self._faults else Ok()
        if isinstance(fault, (KnobFault, KnobSlips)):
            self._faults.pop(0)
        if isinstance(fault, KnobFault):
            raise HardwareFault(f"the simulated knobs did not turn to {setting}")
        if isinstance(fault, KnobSlips):
            return Setting({**setting, fault.control: fault.actual})
        return setting


class SimulatedKnobs:
    """The knobs port: a motor that says that it has turned, and believes it."""

    def __init__(self, unit: Unit, script: Script, *, broken: bool) -> None:
        self._unit = unit
        self._script = script
        self._broken = broken
        self._closed = False

    def set(self, setting: Setting) -> Proof:
        if self._closed:
            raise HardwareFault("the simulated knobs are closed; open the rig again")
        if self._broken:
            raise HardwareFault(f"the simulated knobs did not turn to {setting}")
        setting = self._script.turned(setting)
        missing = [name for name in CONTROLS if name not in setting]
        if missing:
            raise HardwareFault(f"the simulated unit must be told {', '.join(missing)} too")
        self._unit.set(setting)
        return Proof("acknowledged")

    def verify(self, setting: Setting) -> Proof:
        """It believes what it was told."""
        return Proof("acknowledged")

    def forget(self) -> None:
        """Every turn begins with where they stand."""

    def close(self) -> None:
        self._closed = True


def at_rest(profile: RigProfile, *, compiled: bool | None = None) -> tuple[Simulation, Unit]:
    """What is simulated, and its unit: at rest, knobs at the first position of each control.

    ``compiled``: see ``open_simulated``. Raises BadInput, as that does.
    """
    simulation = profile.simulation
    if simulation is None:
        raise BadInput(f"rig {profile.name} has no section simulation; it cannot be simulated")
    controls = {control.name: control for control in profile.control_values}
    if missing := [name for name in CONTROLS if name not in controls]:
        raise BadInput(f"rig {profile.name}: the simulated unit needs {', '.join(missing)} too")
    first = {
        name: control.value_at(0) if control.stepped else control.minimum
        for name, control in controls.items()
    }
    compiled = law.can_compile() if compiled is None else compiled
    rate_hz = profile.audio.sample_rate_hz
    return simulation, Unit(simulation, Setting(first), rate_hz, compiled=compiled)


def open_simulated(
    profile: RigProfile, *, on_truth: OnTruth | None = None, compiled: bool | None = None
) -> Rig:
    """A rig at rest, its knobs at the first position of each control.

    ``compiled`` chooses whether the side chain runs in numba; by default, if it is installed. The
    recordings are the same. Raises BadInput if the profile has no simulation, or lacks a control.
    """
    simulation, unit = at_rest(profile, compiled=compiled)
    script = Script(simulation.faults)
    broken = any(isinstance(fault, KnobFault) for fault in simulation.always)
    return Rig(
        lambda: SimulatedAudio(profile, simulation, unit, script, on_truth),
        SimulatedKnobs(unit, script, broken=broken),
    )


def render(
    profile: RigProfile,
    setting: Setting,
    play: Samples,
    label: Label | None = None,
    *,
    compiled: bool | None = None,
) -> tuple[Samples, Truth]:
    """One recording on a rig that was just opened, with the truth of all its frames.

    ``play`` is int32 (n, 2), at least one frame; what comes back is int32 (n, inputs).
    """
    truths: list[Truth] = []
    rig = open_simulated(profile, on_truth=truths.append, compiled=compiled)
    rig.knobs.set(setting)
    label = label or Label("take", "render")
    recorded = np.concatenate(list(rig.audio.record([play], label)))
    truth = replace(
        truths[0],
        gain_db=np.concatenate([truth.gain_db for truth in truths]),
        output=np.concatenate([truth.output for truth in truths]),
    )
    rig.close()
    return recorded, truth
