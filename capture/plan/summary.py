"""What a plan comes to: counts, hours, knob turns, bytes. Pure arithmetic on an expansion."""

from __future__ import annotations

import math
from dataclasses import dataclass

from capture.model import Setting
from capture.plan import order
from capture.plan.expand import Expansion
from capture.plan.order import Costs

BYTES_PER_SAMPLE = 3
TAKE_CHANNELS = 3
INPUT_CHANNELS = 2
SIMULATED_TIMES_REAL_TIME = 40.0
"""How fast a simulated rig is taken to be, for the estimate: docs/benchmarks.md has figures."""


@dataclass(frozen=True)
class Timing:
    """What, besides audio, costs time at the rig.

    ``open_s`` once, ``around_take_s`` each take, ``probe_s`` and a silence each visit to a setting,
    ``law_s`` once more than for every ``valid_takes``; 0 where it is not done.
    """

    open_s: float
    between_takes_s: float
    around_take_s: float
    simulated: bool
    probe_s: float = 0.0
    law_s: float = 0.0
    valid_takes: int = 1


@dataclass(frozen=True)
class Summary:
    """The figures of ``capture plan``.

    ``bytes`` is the most that the audio can need: 24-bit samples without compression. ``wall_s``
    counts playing, settling and turning. ``knob_turns`` of the order, references included, and
    ``positions_passed`` by them; ``nested_*`` is plan order: plain nested loops over the grid, then
    what is besides it as it is listed.
    """

    songs: int
    settings: int
    grid_cells: int
    grid_kept: int
    extras: int
    references: int
    takes: int
    audio_s: float
    wall_s: float
    knob_turns: int
    nested_knob_turns: int
    positions_passed: int
    nested_positions_passed: int
    turning_s: float
    nested_turning_s: float
    bytes: int
    excluded: tuple[tuple[str, int], ...]

    @property
    def below_plan_order_percent(self) -> dict[str, float]:
        """By how much the order is below plan order: in turns, in positions, in time."""
        pairs = {
            "knob_turns": (self.knob_turns, self.nested_knob_turns),
            "positions_passed": (self.positions_passed, self.nested_positions_passed),
            "turning_s": (self.turning_s, self.nested_turning_s),
        }
        return {
            name: round(100 * (1 - ours / theirs), 1) if theirs else 0.0
            for name, (ours, theirs) in pairs.items()
        }


def summarize(expansion: Expansion, timing: Timing) -> Summary:
    """Everything that can be said of a plan before it is carried out."""
    costs = Costs.of(expansion.controls)
    listed = expansion.places
    places = expansion.with_references(listed[expansion.settings_order])
    nested = expansion.with_references(listed)
    references = len(places) - len(listed)
    rate = expansion.recipe.sample_rate_hz
    song_frames = sum(song.frames for song in expansion.songs)
    frames = song_frames * len(expansion.chosen)
    frames += references * expansion.songs[0].frames if expansion.songs else 0
    audio_s = frames / rate
    turning_s = _seconds(costs, places)
    wall_s = audio_s / SIMULATED_TIMES_REAL_TIME
    if not timing.simulated:
        settling_s = len(expansion.songs) * sum(
            _settle_s(expansion, setting, timing) for setting in expansion.chosen
        )
        if expansion.songs and expansion.reference:
            settling_s += references * _settle_s(expansion, expansion.reference, timing)
        wall_s = timing.open_s + audio_s + settling_s + turning_s
        wall_s += len(expansion) * timing.around_take_s
        wall_s += timing.law_s * (1 + math.ceil(len(expansion) / timing.valid_takes))
        if timing.probe_s:
            wall_s += timing.probe_s * len(places)
            wall_s += sum(_settle_s(expansion, setting, timing) for setting in expansion.chosen)
            if expansion.reference:
                wall_s += references * _settle_s(expansion, expansion.reference, timing)
    stored = (frames * TAKE_CHANNELS + song_frames * INPUT_CHANNELS) * BYTES_PER_SAMPLE
    return Summary(
        songs=len(expansion.songs),
        settings=len(expansion.chosen),
        grid_cells=len(expansion.chosen.grid),
        grid_kept=expansion.chosen.grid_count,
        extras=len(expansion.chosen.extras),
        references=references,
        takes=len(expansion),
        audio_s=audio_s,
        wall_s=wall_s,
        knob_turns=order.turns(places),
        nested_knob_turns=order.turns(nested),
        positions_passed=order.passed(places),
        nested_positions_passed=order.passed(nested),
        turning_s=turning_s,
        nested_turning_s=_seconds(costs, nested),
        bytes=stored,
        excluded=tuple((e.reason, e.settings) for e in expansion.chosen.excluded),
    )


def _seconds(costs: Costs, places: order.Places) -> float:
    return costs.along(places) / 1000


def _settle_s(expansion: Expansion, setting: Setting, timing: Timing) -> float:
    return max(
        timing.between_takes_s,
        *(control.settle_s(setting[control.name]) for control in expansion.controls),
    )
