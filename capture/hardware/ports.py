"""What the runner sees of a rig: narrow capabilities, whatever the device behind them.

Time is frames. A driver counts the frames that its stream has carried since it was opened; every
recording is an interval of that count.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from capture.model import Control, Setting, Value

Samples = NDArray[np.int32]
"""Converter values, shape (frames, channels): 24 bits, left-justified; full scale is 2**31."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a recording is for. Drivers put it in their logs; a simulated rig seeds itself by it.

    ``attempt`` is 1-based: a take that is recorded again is a new recording.
    """

    purpose: Literal["latency", "law", "fingerprint", "take", "check", "warm_up"]
    subject: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a finished recording lies in the stream, and what the stream said meanwhile.

    ``flags`` holds the names of all status flags raised in it (``input_overflow`` ...): empty for
    a recording that may be believed. ``clock_frames`` is how far the stream's clock at most jumped
    ahead of the frame counter: about 0, or as many frames as the stream left out; None where the
    stream is not bound to a clock. ``block_frames`` is the longest block that the device delivered.
    """

    first_frame: int
    frames: int
    flags: frozenset[str]
    clock_frames: float | None = None
    block_frames: int = 0

    @property
    def clock_limit_frames(self) -> float:
        """Half a block: a clock that jumped further has left frames out."""
        return self.block_frames / 2

    @property
    def left_out_frames(self) -> float:
        """How many frames the stream left out, by its clock; 0 where it agrees."""
        ahead = self.clock_frames or 0.0
        return ahead if ahead > self.clock_limit_frames else 0.0


class Recording:
    """A recording that is under way. Iterate over it once, to the end.

    ``blocks`` gives what comes back, shape (frames, inputs), in order and without a gap, and
    returns the interval.
    """

    def __init__(self, blocks: Generator[Samples, None, Interval]) -> None:
        self._blocks = blocks
        self._interval: Interval | None = None

    def __iter__(self) -> Generator[Samples]:
        self._interval = yield from self._blocks

    @property
    def interval(self) -> Interval:
        """Known when the last block has been taken."""
        if self._interval is None:
            raise RuntimeError("the recording has not been taken to its end")
        return self._interval


def checked(play: Iterable[Samples]) -> Iterator[Samples]:
    """The blocks of ``play``, each as it must be. Raises ValueError."""
    for block in play:
        if block.dtype != np.int32 or block.ndim != 2 or block.shape[1] != 2:
            raise ValueError(f"blocks must be int32 (n, 2), not {block.dtype} {block.shape}")
        yield block


class Audio(Protocol):
    """One full-duplex stream that stays open from take to take.

    ``inputs`` names the columns of what comes back: left, right, cv, and loopback where wired.
    """

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def frames(self) -> int:
        """How many frames the stream has carried since it was opened."""
        ...

    def settle(self, frames: int) -> None:
        """Has silence flow for so many frames before the next recording begins.

        They count from now, or from the end of what is still to be played.
        """
        ...

    def record(self, play: Iterable[Samples], label: Label, tail_frames: int = 0) -> Recording:
        """Plays blocks of shape (frames, 2) and records all inputs meanwhile, frame for frame.

        As many frames come back as were played, and ``tail_frames`` more; the first is recorded
        at the instant at which the first one is sent. The next recording may be begun, in another
        thread, as soon as all of ``play`` has been taken: it begins no earlier than the frame
        after the last one played. Raises DeviceLost when the device is lost.
        """
        ...

    def close(self) -> None: ...


Confirmed = Literal["told", "acknowledged", "read_back", "measured"]


@dataclass(frozen=True, slots=True)
class Proof:
    """How far it is known that the knobs stand where they should.

    told: somebody was told; acknowledged: the device said yes; read_back: the device reports
    ``position``; measured: the sound proves it. ``waited_s``: how long a person was waited for.
    """

    confirmed: Confirmed
    position: Setting | None = None
    waited_s: float = 0.0


class Knobs(Protocol):
    """Whatever turns the knobs: a person, a motor, a simulation."""

    def set(self, setting: Setting) -> Proof:
        """Turns every control to ``setting``.

        Raises HardwareFault when it cannot, Declined when a person will not.
        """
        ...

    def verify(self, setting: Setting) -> Proof:
        """Asks once more where they stand, as far as that can be asked, and turns nothing.

        Raises HardwareFault when they do not stand at ``setting``, or nobody knows any more.
        """
        ...

    def forget(self) -> None:
        """There is reason to doubt where they stand: the next ``set`` takes nothing for granted."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One control for a person to turn. ``before`` is None where nobody knows how it stands."""

    control: Control
    before: Value | None
    after: Value


class Declined(Exception):
    """The person at the rack does not set the knobs.

    skip: not now; impossible: never, for ``reason``; back: at the setting before, the knobs stood
    wrong.
    """

    def __init__(self, what: Literal["skip", "impossible", "back"], reason: str = "") -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason


@dataclass(frozen=True, slots=True)
class DriftSaid:
    """What the person at the rack says of a rack that has drifted.

    accept: it may go on so, says ``by``; again: to be measured again; stop: not now, or nobody is
    there to say.
    """

    what: Literal["accept", "again", "stop"]
    by: str = ""


class Operator(Protocol):
    """The person at the rack."""

    def ask(self, question: str) -> str:
        """The answer, without blanks around it. Raises BadInput when nobody is there."""
        ...

    def turn(self, turns: Sequence[Turn], panel: Sequence[Turn]) -> None:
        """Has the knobs turned; returns when the person says that they stand so.

        ``turns`` are those that change, ``panel`` is every control that a person turns. Raises
        Declined, and Interrupted when the program is asked to stop or nobody is there.
        """
        ...

    def drifted(self, how: str) -> DriftSaid:
        """Asks what to do about a rack that has drifted: ``how``, in a sentence.

        Raises Interrupted when the program is asked to stop.
        """
        ...


class Rig:
    """An opened rig. Its audio can be opened anew; the knobs stay.

    Raises HardwareFault where the audio cannot be opened; the knobs are closed then.
    """

    def __init__(self, open_audio: Callable[[], Audio], knobs: Knobs) -> None:
        self._open_audio = open_audio
        self.knobs = knobs
        try:
            self.audio = open_audio()
        except BaseException:
            knobs.close()
            raise

    def reopen_audio(self) -> None:
        """Closes the audio and opens it anew. May be tried again where it raises HardwareFault."""
        self.audio.close()
        self.audio = self._open_audio()

    def close(self) -> None:
        try:
            self.knobs.close()
        finally:
            self.audio.close()
