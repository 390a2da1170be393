"""The frozen values that every part of the program shares, and the identities made from them.

An identity is computed from content, never from an order, a clock, a machine or a path:

* a ``Setting`` is the same setting whatever order its controls are named in;
* a song's id holds the hash of the audio that it was made from;
* a take's id is a hash of song, level recipe, setting and repeat.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le


class Auto(enum.Enum):
    """The type of the position ``auto``: not a number, not a string, not a NaN."""

    AUTO = "auto"

    def __repr__(self) -> str:
        return "AUTO"


AUTO = Auto.AUTO
Value = float | Auto
"""What a position stands for: a number in the control's unit, or ``AUTO``."""

UNIT_SUFFIXES = ("_db", "_ms", "_s", "_hz", "_percent", "_v", "_dbu")


MAX_SETTING_ID = 120
"""Together with a song's id this stays well under the 255 bytes of a file name."""

MAX_POSITIONS = 100_000
"""A range of more steps is taken as one without steps."""


def format_value(value: Value) -> str:
    """The shortest text that reads back as the same value: ``-28``, ``0.1``, ``auto``."""
    if isinstance(value, Auto):
        return value.value
    if value == 0:
        return "0"  # -0.0 is the same position
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def parse_value(text: object) -> Value:
    """The inverse of ``format_value``; takes numbers as they are.

    Raises:
        ValueError: for anything that is neither a finite number nor ``auto``.
    """
    if text is AUTO or text == "auto":
        return AUTO
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError(f"{text!r} is not a position: give a number or auto")
    try:
        number = float(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a position: give a number or auto") from None
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a position: give a finite number or auto")
    return number + 0.0  # -0.0 becomes 0.0


def base_name(control: str) -> str:
    """A control's name without its unit: ``release_s`` -> ``release``."""
    for suffix in UNIT_SUFFIXES:
        if control.endswith(suffix) and len(control) > len(suffix):
            return control.removesuffix(suffix)
    return control


@dataclass(frozen=True, slots=True)
class Position:
    """One position of a control: what the panel says, and the value that it stands for.

    ``settle_s`` is the silence that a take needs before it when the control stands here, so that
    nothing of the sound before it is left in the unit (auto release remembers for long).
    """

    label: str
    value: Value
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Control:
    """One knob or switch of the rig.

    A stepped control lists its ``positions`` in panel order. A continuous one has none and goes
    from ``minimum`` to ``maximum`` (both included) in multiples of ``step``; 0 means any value.
    Turning it costs ``turn_s`` seconds, and ``step_s`` more for each position that it passes.
    """

    name: str
    unit: str
    positions: tuple[Position, ...] = ()
    minimum: float = 0.0
    maximum: float = 0.0
    step: float = 0.0
    turn_s: float = 0.0
    step_s: float = 0.0

    @property
    def stepped(self) -> bool:
        return bool(self.positions)

    @property
    def count(self) -> int:
        """How many positions there are; 0 if they are too many to count."""
        if self.stepped:
            return len(self.positions)
        steps = (self.maximum - self.minimum) / self.step if self.step else math.inf
        return math.floor(steps + 1e-6) + 1 if steps < MAX_POSITIONS else 0

    def value_at(self, index: int) -> Value:
        """The value of position number ``index``, of a control that can be counted."""
        if self.stepped:
            return self.positions[index].value
        # Rounded so that -28 + 241 * 0.1 is the -3.9 that a person would write.
        return round(self.minimum + index * self.step, 9) + 0.0

    def place(self, value: Value) -> float | None:
        """Where ``value`` is on the panel, counted in positions; None if the control lacks it."""
        if self.stepped:
            for index, position in enumerate(self.positions):
                if position.value == value:
                    return float(index)
            return None
        if isinstance(value, Auto) or not self.minimum <= value <= self.maximum:
            return None
        if not self.count:
            return 10.0 * (value - self.minimum) / (self.maximum - self.minimum)
        index = round((value - self.minimum) / self.step)
        return float(index) if self.value_at(index) == value else None

    def settle_s(self, value: Value) -> float:
        """The silence that a take at ``value`` needs before it."""
        return max((p.settle_s for p in self.positions if p.value == value), default=0.0)

    @property
    def allowed(self) -> str:
        """What may be asked of it, in words."""
        if self.stepped:
            return ", ".join(format_value(position.value) for position in self.positions)
        steps = f" in steps of {format_value(self.step)}" if self.step else ""
        return f"{format_value(self.minimum)} to {format_value(self.maximum)}{steps}"


@dataclass(frozen=True, slots=True, init=False)
class Setting(Mapping[str, Value]):
    """One position of every control. Its items are sorted by the control's name."""

    pairs: tuple[tuple[str, Value], ...]

    def __init__(self, values: Mapping[str, Value]) -> None:
        object.__setattr__(self, "pairs", tuple(sorted(values.items())))

    def __getitem__(self, control: str) -> Value:
        for name, value in self.pairs:
            if name == control:
                return value
        raise KeyError(control)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def setting_id(self) -> str:
        """A readable name, safe in file names: ``attack0p1_ratio4_releaseauto_threshold-28``.

        One that is too long for a file name is cut, and ends with a hash of the whole.
        """
        text = "_".join(
            base_name(name) + format_value(value).replace(".", "p").replace("+", "")
            for name, value in self.pairs
        )
        if len(text) <= MAX_SETTING_ID:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{text[: MAX_SETTING_ID - 13].rstrip('_')}-{digest}"

    def __str__(self) -> str:
        return ", ".join(f"{name} {format_value(value)}" for name, value in self.pairs)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How every song is made and sent: what, besides song and setting, decides a take's sound.

    ``normalize`` names the measure that is brought to ``target_db``: peak (dBFS), rms (dBFS) or
    lufs (LUFS). ``send_gain_db`` is applied as the song is played; ``return_gain_db`` is what the
    analog return does, a fact that is never applied to the recording. Fades are seconds at each
    end of the song.
    """

    sample_rate_hz: int
    normalize: Literal["peak", "rms", "lufs"]
    target_db: float
    send_gain_db: float
    return_gain_db: float
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """The limits of the take checks: a plan's ``checks``. docs/measurements.md explains each.

    A take that fails is recorded again, ``retries`` times at most.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    retries: Annotated[int, Ge(0), Le(20)] = 2
    marker_frames: Annotated[float, Ge(0), Le(100)] = 0.1
    pilot_db: Annotated[float, Ge(0), Le(200)] = 6.0
    full_scale_run_frames: Annotated[int, Ge(1), Le(1000)] = 3
    near_full_scale_warn_dbfs: Annotated[float, Ge(-60), Le(0)] = -0.5
    stuck_run_frames: Annotated[int, Ge(2), Le(1_000_000)] = 64
    repeated_run_frames: Annotated[int, Ge(2), Le(1_000_000)] = 32
    dead_below_db: Annotated[float, Ge(-120), Le(0)] = -50.0
    coherence: Annotated[float, Ge(0), Le(1)] = 0.6
    coherence_warn: Annotated[float, Ge(0), Le(1)] = 0.9
    lag_frames: Annotated[float, Ge(0), Le(1000)] = 0.6
    lag_step_frames: Annotated[float, Ge(0), Le(1000)] = 0.4
    drift_ppm: Annotated[float, Ge(0), Le(1000)] = 2.0
    dc_dbfs: Annotated[float, Ge(-200), Le(0)] = -30.0
    dc_warn_dbfs: Annotated[float, Ge(-200), Le(0)] = -50.0
    hum_dbfs: Annotated[float, Ge(-200), Le(0)] = -65.0
    hum_warn_dbfs: Annotated[float, Ge(-200), Le(0)] = -75.0
    noise_dbfs: Annotated[float, Ge(-200), Le(0)] = -50.0
    noise_warn_dbfs: Annotated[float, Ge(-200), Le(0)] = -70.0
    audio_cv_db: Annotated[float, Ge(-200), Le(0)] = -20.0
    audio_cv_warn_db: Annotated[float, Ge(-200), Le(0)] = -30.0
    burst_db: Annotated[float, Ge(0), Le(200)] = 18.0
    burst_warn_db: Annotated[float, Ge(0), Le(200)] = 14.0
    click_db: Annotated[float, Ge(0), Le(200)] = 28.0
    click_warn_db: Annotated[float, Ge(0), Le(200)] = 22.0
    crosstalk_db: Annotated[float, Ge(-200), Le(0)] = -30.0
    crosstalk_warn_db: Annotated[float, Ge(-200), Le(0)] = -50.0
    cv_delay_frames: Annotated[float, Ge(0), Le(1000)] = 0.6
    cv_delay_warn_frames: Annotated[float, Ge(0), Le(1000)] = 0.3
    cv_lag_frames: Annotated[float, Ge(0), Le(1000)] = 4.0
    cv_lag_warn_frames: Annotated[float, Ge(0), Le(1000)] = 2.0
    cv_scatter_db: Annotated[float, Ge(0), Le(60)] = 0.3
    cv_scatter_warn_db: Annotated[float, Ge(0), Le(60)] = 0.1
    cv_flat_share: Annotated[float, Ge(0), Le(1)] = 0.2
    cv_unplugged_db: Annotated[float, Ge(0), Le(60)] = 0.5
    cv_above_rest_db: Annotated[float, Ge(0), Le(60)] = 0.5
    cv_slope_percent: Annotated[float, Ge(0), Le(100)] = 1.0
    cv_coupling_hz: Annotated[float, Ge(0), Le(100)] = 0.005
    cv_clip_db: Annotated[float, Ge(0), Le(60)] = 0.1
    settle_db: Annotated[float, Ge(0), Le(60)] = 0.1


Verdict = Literal["pass", "warn", "fail", "unverified"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One take check: what was measured, its limit, and the verdict.

    ``warn`` is recorded and shown, and does not void the take. ``unverified``: this take cannot
    show it either way (silence, no reduction ...). The figure is null where nothing could be
    measured, never a NaN. ``limit`` is the one that the figure is beyond, or else the one to fail.
    """

    name: str
    figure: float | None
    limit: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GainLaw:
    """From CV samples to gain: ``gain_db = cv_sample * gain_db_per_fs + gain_db_at_zero``.

    ``cv_sample`` is the raw converter value with full scale 1; ``gain_db`` is negative when the
    unit attenuates. ``origin`` says where the law is from: ``expected`` is the rig profile's,
    not measured on this unit.
    """

    gain_db_per_fs: float
    gain_db_at_zero: float
    origin: Literal["expected", "measured"]


@dataclass(frozen=True, slots=True)
class SongRecord:
    """A song as it was made, once: where it came from, what was done, what came out.

    ``source`` is the path as found (or ``demo:NAME``), ``source_mtime_ns`` tells a changed file
    without reading it. ``gain_db`` was applied to the resampled audio; peak, RMS and loudness are
    those of the finished file (RMS over both channels; a full-scale square wave has 0 dBFS, a
    full-scale sine -3.01). ``input_file`` is relative to the dataset's folder.
    """

    song_id: str
    name: str
    source: str
    source_sha256: str
    source_bytes: int
    source_mtime_ns: int
    source_format: str
    source_rate_hz: int
    source_channels: int
    source_frames: int
    input_file: str
    input_sha256: str
    input_bytes: int
    sample_rate_hz: int
    num_frames: int
    gain_db: float
    peak_dbfs: float
    rms_dbfs: float
    loudness_lufs: float | None
    made_with: str


REVISION = 1000
"""Added to a take's repeat each time that a released take is recorded again: r1, r1001, r2001."""

Split = Literal["train", "test"]
SettingSplit = Literal["seen", "unseen", "reference"]


@dataclass(frozen=True, slots=True)
class Take:
    """One song at one setting, repeat ``repeat`` (1-based): what is recorded, checked, committed.

    ``index`` is its place in the plan's order; ``visit`` counts the times that knobs are set.
    """

    index: int
    visit: int
    take_id: str
    song_id: str
    setting: Setting
    repeat: int
    frames: int
    split: Split | None
    setting_split: SettingSplit | None

    @property
    def stem(self) -> str:
        """The beginning of its files' names."""
        return f"{self.song_id}-{self.setting.setting_id}-r{self.repeat}"


def canonical(data: object) -> str:
    """The one JSON text of plain data: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def song_id(name: str, source_sha256: str) -> str:
    """``Blue Monday (live)``, 3fa9... -> ``blue-monday-live-3fa9c1d2``."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split()
    return "-".join(["-".join(words)[:40].strip("-") or "song", source_sha256[:8]])


def take_id(source_sha256: str, recipe: Recipe, setting: Setting, repeat: int) -> str:
    """20 hex digits, from content alone: equal on every machine and Python version.

    They are those of the SHA-256 of a ``canonical`` list: song, recipe, setting, repeat.
    """
    text = f"[{canonical(source_sha256)},{_treatment(recipe, setting)},{repeat}]"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@functools.lru_cache(maxsize=1024)
def _treatment(recipe: Recipe, setting: Setting) -> str:
    """What a take's id says of these two. Kept: hundreds of songs have them in common."""
    content = [
        recipe.sample_rate_hz,
        recipe.normalize,
        *(
            format_value(value)
            for value in (
                recipe.target_db,
                recipe.send_gain_db,
                recipe.return_gain_db,
                recipe.fade_in_s,
                recipe.fade_out_s,
            )
        ),
        [[name, format_value(value)] for name, value in setting.pairs],
    ]
    return canonical(content).removeprefix("[").removesuffix("]")
