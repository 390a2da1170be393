"""A plan expanded into takes. Pure, deterministic, addressed by index.

Settings outside, songs inside. With a reference, the takes come in blocks: one reference take
(the first song), then ``every_settings`` settings with all songs; one more reference take ends
the plan. So take n follows from n by division alone, and nothing is listed that is not asked for.

Repeat 1 of a song and setting is the planned take. Reference takes are repeats 2, 3, 4 ..., also
where the reference is not planned besides: so no take's repeat changes when it comes to be. A
take of a release that is recorded again is another take: its repeat grows by ``REVISION``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from capture.errors import DocumentFaults, Fault
from capture.model import (
    REVISION,
    Control,
    Recipe,
    Setting,
    SettingSplit,
    Split,
    Take,
    take_id,
)
from capture.plan import order
from capture.plan.order import Costs, Order, Places
from capture.plan.settings import Chosen, choose, faults
from capture.plan.spec import PlanSpec


@dataclass(frozen=True, slots=True)
class PlannedSong:
    """What the plan needs to know of a song. ``frames`` are at the plan's sample rate."""

    song_id: str
    source_sha256: str
    frames: int


Revisions = Mapping[tuple[str, str, int], int]
"""How often a take was superseded, by song, setting and planned repeat."""


@dataclass(frozen=True)
class Expansion:
    """All takes of a plan, in the order in which they are recorded."""

    controls: tuple[Control, ...]
    recipe: Recipe
    songs: tuple[PlannedSong, ...]
    splits: Mapping[str, Split]
    chosen: Chosen
    settings_order: Order
    reference: Setting | None
    every_settings: int
    revisions: Revisions = field(default_factory=dict[tuple[str, str, int], int])

    def __len__(self) -> int:
        references = self._references if self.songs else 0
        return len(self.chosen) * len(self.songs) + references

    def __iter__(self) -> Iterator[Take]:
        return (self.take(index) for index in range(len(self)))

    def take(self, index: int) -> Take:
        """Take number ``index``, computed alone. Raises IndexError beyond the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"the plan has {len(self)} takes; there is no take {index}")
        if self.reference is None:
            visit, song = divmod(index, len(self.songs))
            return self._planned(index, visit, visit, song)
        block, rest = divmod(index, 1 + self.every_settings * len(self.songs))
        within, song = divmod(rest - 1, len(self.songs))
        place = block * self.every_settings + within
        if rest == 0 or place >= len(self.chosen):
            number = self._references - 1 if rest else block
            visits = min(number * self.every_settings, len(self.chosen)) + number
            return self._reference(index, visits, number)
        return self._planned(index, place + block + 1, place, song)

    def revised(self, revisions: Revisions) -> Expansion:
        """The same takes, those superseded in their next revision."""
        return replace(self, revisions=revisions)

    @property
    def visits(self) -> Iterator[Setting]:
        """The settings in the order in which the knobs are set, references included."""
        for place, number in enumerate(self.settings_order):
            if self.reference is not None and place % self.every_settings == 0:
                yield self.reference
            yield self.chosen[int(number)]
        if self.reference is not None:
            yield self.reference

    @property
    def _references(self) -> int:
        if self.reference is None:
            return 0
        return -(-len(self.chosen) // self.every_settings) + 1

    def _planned(self, index: int, visit: int, place: int, song: int) -> Take:
        number = int(self.settings_order[place])
        split: SettingSplit | None = None
        if self.splits:
            split = "unseen" if self.chosen.is_extra(number) else "seen"
        return self._take(index, visit, self.songs[song], self.chosen[number], 1, split)

    def _reference(self, index: int, visit: int, number: int) -> Take:
        assert self.reference is not None
        repeat = number + 2
        split: SettingSplit | None = "reference" if self.splits else None
        return self._take(index, visit, self.songs[0], self.reference, repeat, split)

    def _take(
        self,
        index: int,
        visit: int,
        song: PlannedSong,
        setting: Setting,
        repeat: int,
        setting_split: SettingSplit | None,
    ) -> Take:
        if self.revisions:
            key = (song.song_id, setting.setting_id, repeat)
            repeat += REVISION * self.revisions.get(key, 0)
        return Take(
            index=index,
            visit=visit,
            take_id=take_id(song.source_sha256, self.recipe, setting, repeat),
            song_id=song.song_id,
            setting=setting,
            repeat=repeat,
            frames=song.frames,
            split=self.splits.get(song.song_id),
            setting_split=setting_split,
        )

    @property
    def places(self) -> Places:
        """The panel places of the chosen settings, in listed order, shape (settings, controls)."""
        return _places(self.chosen, self.controls)

    def with_references(self, places: Places) -> Places:
        """``places`` of the chosen settings, in any order, with the reference's visits added."""
        if self.reference is None:
            return places
        row = _places([self.reference], self.controls)
        count = len(places)
        return np.insert(places, [*range(0, count, self.every_settings), count], row, axis=0)


def expand(
    spec: PlanSpec,
    controls: Sequence[Control],
    songs: Sequence[PlannedSong],
    known_splits: Mapping[str, Split] | None = None,
) -> Expansion:
    """Expands a plan for a rig's controls. ``known_splits``: songs assigned in an earlier run.

    Raises:
        DocumentFaults: with everything in the plan that cannot be done.
    """
    found = faults(spec, controls)
    if found:
        raise DocumentFaults(found)
    chosen = choose(spec, controls)
    if isinstance(chosen, list):
        raise DocumentFaults(chosen)
    splits: dict[str, Split] = {}
    if spec.splits and songs:
        if too_few := song_faults(spec, len(songs)):
            raise DocumentFaults(too_few)
        splits = assign(songs, spec.splits.seed, spec.splits.test_songs, known_splits or {})
    reference = Setting(spec.reference.setting) if spec.reference else None
    return Expansion(
        controls=tuple(controls),
        recipe=spec.recipe,
        songs=tuple(songs),
        splits=splits,
        chosen=chosen,
        settings_order=_order(spec, chosen, tuple(controls)),
        reference=reference,
        every_settings=spec.reference.every_settings if spec.reference else 0,
    )


def song_faults(spec: PlanSpec, songs: int) -> list[Fault]:
    """What is wrong with a plan that finds so many songs."""
    if not spec.splits or not songs or spec.splits.test_songs <= songs:
        return []
    message = f"{spec.splits.test_songs} is more than the {songs} songs there are"
    return [Fault(("splits", "test_songs"), message)]


def assign(
    songs: Sequence[PlannedSong], seed: int, test_songs: int, known: Mapping[str, Split]
) -> dict[str, Split]:
    """Which songs are for testing: those whose hash of (seed, content) ranks first.

    By content, so that no name or order decides, and equal audio is never on both sides. Songs in
    ``known`` stay where they are; the others fill up to ``test_songs``.
    """

    def rank(song: PlannedSong) -> str:
        return hashlib.sha256(f"split:{seed}:{song.source_sha256}".encode()).hexdigest()

    result: dict[str, Split] = {
        song.song_id: known[song.song_id] for song in songs if song.song_id in known
    }
    tested = sum(split == "test" for split in result.values())
    for song in sorted((song for song in songs if song.song_id not in known), key=rank):
        result[song.song_id] = "test" if tested < test_songs else "train"
        tested += result[song.song_id] == "test"
    return result


def _order(spec: PlanSpec, chosen: Chosen, controls: tuple[Control, ...]) -> Order:
    if spec.order.settings == "listed":
        return np.arange(len(chosen), dtype=np.int64)
    if chosen.whole:
        by_name = {control.name: control for control in controls}
        ordered = tuple(by_name[name] for name in chosen.grid.names)
        places = [
            np.array([control.place(value) for value in values], np.float64)
            for control, values in zip(ordered, chosen.grid.values, strict=True)
        ]
        return order.gray(places, Costs.of(ordered))
    return order.travel(_places(chosen, controls), Costs.of(controls))


def _places(settings: Iterable[Setting], controls: Sequence[Control]) -> Places:
    tables = {
        control.name: {p.value: float(i) for i, p in enumerate(control.positions)}
        for control in controls
    }
    flat = (
        tables[c.name][s[c.name]] if c.stepped else c.place(s[c.name]) or 0.0
        for s in settings
        for c in controls
    )
    return np.fromiter(flat, np.float64).reshape(-1, len(controls))
