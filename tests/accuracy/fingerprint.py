"""How well a fingerprint names the knobs. ``section`` measures, asserts and tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from capture.model import AUTO, Setting, Value, format_value
from capture.signal.fingerprint import enrol, greybox, passive, verdict
from capture.signal.fingerprint.greybox import Forecast
from tests.signal.fingerprint.rack import GRID, LAWS, PART, RATE_HZ, WARMTH, Rack, settings_of
from tests.signal.fingerprint.test_passive import heard

SMALL: dict[str, tuple[Value, ...]] = {
    "threshold_db": (-20.0, -16.0),
    "attack_ms": (0.1, 0.3, 1.0),
    "release_s": (0.4, 0.8, AUTO),
    "ratio": (4.0, 10.0),
}
PANEL: dict[str, tuple[Value, ...]] = {
    "threshold_db": (-28.0, -24.0, -20.0, -16.0, -12.0, -8.0, -4.0, 0.0, 4.0, 8.0, 12.0),
    "attack_ms": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "release_s": (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, AUTO),
    "ratio": (1.5, 2.0, 3.0, 4.0, 5.0, 10.0),
}
NOISES = (("circuit", -80.0), ("log-detector", -60.0), ("circuit", -60.0))
WARM = ("warm", {"part": WARMTH})
HARSH = ("harsh", {"part": PART, "single": True})
NAMED, FOUND, FALSE = 0.98, 0.99, 0.01
PANEL_VISITS = 50
TAKES = 30
MUSIC = Path("/usr/share/games/singularity/music")
TAKE_S = 30
PEAK_DBFS = -7.0


@dataclass
class Tally:
    """Visits at true settings, each judged under its own label and under each one-step lie."""

    positions: dict[str, tuple[Value, ...]]
    visits: int = 0
    lies: int = 0
    words: Counter[str] = field(default_factory=Counter[str])
    caught: Counter[str] = field(default_factory=Counter[str])
    named: Counter[str] = field(default_factory=Counter[str])
    runner_up: list[float] = field(default_factory=list[float])
    least_odds: list[float] = field(default_factory=list[float])
    confusion: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def __post_init__(self) -> None:
        self.confusion = {n: np.zeros((len(v), len(v)), int) for n, v in self.positions.items()}

    def add(self, found: verdict.Comparison, truth: Setting, lies: Sequence[Setting]) -> None:
        own = verdict.decide(found, truth)
        assert own.most_likely is not None
        assert own.log10_odds is not None
        self.visits += 1
        self.words[own.word] += 1
        self.runner_up.append(own.log10_odds)
        for name, values in self.positions.items():
            self.named[name] += own.most_likely[name] == truth[name]
            places = [values.index(setting[name]) for setting in (truth, own.most_likely)]
            self.confusion[name][places[0], places[1]] += 1
        for lie in lies:
            judged = verdict.decide(found, lie)
            assert judged.log10_odds is not None
            self.lies += 1
            self.caught[judged.word] += 1
            self.least_odds.append(judged.log10_odds)

    def check(self) -> None:
        """The targets. Doubtful counts as found, and as a false alarm."""
        for name in self.positions:
            assert self.named[name] >= NAMED * self.visits, (name, self.named)
        assert self.caught["contradicted"] + self.caught["doubtful"] >= FOUND * self.lies
        assert self.words["contradicted"] + self.words["doubtful"] <= FALSE * self.visits

    def row(self) -> str:
        named = " | ".join(str(self.named[name]) for name in self.positions)
        words = [self.words[word] for word in ("confirmed", "doubtful", "contradicted")]
        found = self.caught["contradicted"] + self.caught["doubtful"]
        return (
            f"{self.visits} | {named} | {words[1] + words[2]} | {self.words['not verifiable']} | "
            f"{found} of {self.lies} | {-max(self.runner_up):.0f} | {min(self.least_odds):.0f}"
        )


HEADER = (
    "| law, reading, units | visits | threshold | attack | release | ratio | false alarms | "
    "not verifiable | one step off: found | least odds for the truth | and against a lie |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def section(small: bool) -> str:
    """Measures, asserts the targets, and tells in Markdown; ``small`` in under a minute.

    Raises:
        AssertionError: a target is missed.
    """
    positions = SMALL if small else GRID
    tallies: list[Tally] = []
    rows: list[str] = []
    probes = len(greybox.enrolment_settings(positions))
    for law in LAWS:
        for seed in (1,) if small else (1, 2):
            rack, expected = _enrolled(law, seed, positions)
            for name, moved in (WARM, HARSH):
                tallies.append(_measure(rack, expected, positions, moved))
                rows.append(f"| {law}, {name}, unit {seed} | {tallies[-1].row()} |")
    for law, noise_dbfs in () if small else NOISES:
        rack, expected = _enrolled(law, 3, positions, noise_dbfs)
        tallies.append(_measure(rack, expected, positions, WARM[1]))
        rows.append(f"| {law}, warm, unit 3, noise {noise_dbfs:.0f} dBFS | {tallies[-1].row()} |")
    parts = [INTRODUCTION.format(probes=probes, settings=len(settings_of(positions)))]
    parts += ["\n".join([HEADER, *rows]), _confusions(positions, tallies)]
    if not small:
        parts += [_whole_panel(), _music()]
    return "\n\n".join(parts)


def _enrolled(
    law: str, seed: int, positions: dict[str, tuple[Value, ...]], noise_dbfs: float | None = None
) -> tuple[Rack, Forecast]:
    rack = Rack(law, seed, noise_dbfs)
    model = enrol.enrol([rack.visit(s) for s in greybox.enrolment_settings(positions)])
    return rack, greybox.forecast(model, settings_of(positions))


def _measure(
    rack: Rack,
    expected: Forecast,
    positions: dict[str, tuple[Value, ...]],
    moved: dict[str, Any],
) -> Tally:
    tally = Tally(positions)
    for truth in expected.settings:
        found = verdict.compare(expected, rack.visit(truth, **moved).features)
        tally.add(found, truth, greybox.neighbours(truth, positions))
    tally.check()
    return tally


def _confusions(positions: dict[str, tuple[Value, ...]], tallies: Sequence[Tally]) -> str:
    """A matrix for each knob: rows are true, columns what it looks like."""
    visits = sum(tally.visits for tally in tallies)
    tables = [f"Confusion matrices over all {visits} visits; rows true, columns named."]
    for name, values in positions.items():
        total = sum((tally.confusion[name] for tally in tallies), np.zeros(1, int))
        labels = [format_value(value) for value in values]
        lines = [f"| {name} | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
        for label, counts in zip(labels, total, strict=True):
            lines.append(f"| **{label}** | " + " | ".join(map(str, counts)) + " |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _whole_panel() -> str:
    """All positions of the packaged rig, far above the ladder too: what cannot be told apart."""
    rng = np.random.default_rng(4)
    words: Counter[tuple[str, str]] = Counter()
    alike: Counter[str] = Counter()
    lies: Counter[str] = Counter()
    for law in LAWS:
        rack = Rack(law, 4)
        model = enrol.enrol([rack.visit(s) for s in greybox.enrolment_settings(PANEL)])
        for _ in range(PANEL_VISITS):
            truth = Setting({n: values[rng.integers(len(values))] for n, values in PANEL.items()})
            near = greybox.neighbours(truth, PANEL)
            expected = greybox.forecast(model, [truth, *near])
            found = verdict.compare(expected, rack.visit(truth).features)
            own = verdict.decide(found, truth)
            silent = float(expected.features[0].max()) < 1.0
            words["under 1 dB" if silent else "1 dB and more", own.word] += 1
            lies.update(verdict.decide(found, lie).word for lie in near)
            if not silent:
                alike.update(_step(truth, other.setting) for other in own.alike)
    assert not words["under 1 dB", "contradicted"]
    assert not words["1 dB and more", "contradicted"]
    assert not lies["confirmed"]
    lines = ["| expected reduction | verdict on the true label | visits |", "|---|---|---|"]
    lines += [f"| {kind} | {word} | {count} |" for (kind, word), count in sorted(words.items())]
    steps = ", ".join(f"{step} ({count})" for step, count in sorted(alike.items())) or "none"
    return PANEL_TEXT.format(
        table="\n".join(lines), steps=steps, lies=sum(lies.values()), visits=PANEL_VISITS
    )


def _step(truth: Setting, other: Setting) -> str:
    for name in truth:
        if truth[name] != other[name]:
            pair = sorted(format_value(setting[name]) for setting in (truth, other))
            return f"{name} {pair[0]} and {pair[1]}"
    raise AssertionError("the same setting")


def _music() -> str:
    """The passive check: true takes, a wrong knob all along, a knob moved half way."""
    songs = _songs()
    rng = np.random.default_rng(5)
    words: dict[str, Counter[str]] = {"true": Counter(), "wrong": Counter(), "moved": Counter()}
    named: Counter[str] = Counter()
    late: list[float] = []
    for law in LAWS:
        rack, expected = _enrolled(law, 1, GRID)
        for kind, counts in words.items():
            for _ in range(TAKES):
                song = songs[rng.integers(len(songs))]
                truth = expected.settings[rng.integers(len(expected.settings))]
                near = greybox.neighbours(truth, GRID)
                other = near[rng.integers(len(near))]
                half = len(song) // 2
                first, second = {"true": (truth, truth), "wrong": (other, other)}.get(
                    kind, (truth, other)
                )
                trace = rack.take([(first, song[:half]), (second, song[half:])])
                seen = passive.watch(expected.model, truth, near, heard(song, trace, 65536))
                counts[seen.word] += 1
                if kind != "true" and seen.word in ("contradicted", "doubtful"):
                    named[kind] += seen.most_likely == other
                if kind == "moved" and seen.word == "contradicted":
                    assert seen.since_s is not None
                    late.append(seen.since_s - half / RATE_HZ)
    return _music_text(words, named, late, len(songs))


def _music_text(
    words: dict[str, Counter[str]], named: Counter[str], late: list[float], songs: int
) -> str:
    verdicts = ("confirmed", "doubtful", "contradicted", "not verifiable")
    lines = ["| take | " + " | ".join(verdicts) + " |", "|---" * (len(verdicts) + 1) + "|"]
    for kind, found in words.items():
        lines.append(f"| {kind} | " + " | ".join(str(found[word]) for word in verdicts) + " |")
    true = words["true"]
    assert true["contradicted"] + true["doubtful"] <= 0.02 * sum(true.values())
    for kind in ("wrong", "moved"):
        found = words[kind]["contradicted"] + words[kind]["doubtful"]
        seen = sum(words[kind].values()) - words[kind]["not verifiable"]
        assert found >= 0.95 * seen, (kind, words[kind])
    return MUSIC_TEXT.format(
        table="\n".join(lines),
        songs=songs,
        seconds=TAKE_S,
        takes=TAKES,
        named=f"{named['wrong']} and {named['moved']}",
        late=f"{np.percentile(late, 5):+.1f} to {np.percentile(late, 95):+.1f}",
    )


def _songs() -> list[np.ndarray]:
    import soundfile
    import soxr

    songs: list[np.ndarray] = []
    for path in sorted(MUSIC.rglob("*.ogg")):
        rate = soundfile.info(path).samplerate
        audio, _ = soundfile.read(path, start=20 * rate, frames=TAKE_S * rate, always_2d=True)
        if len(audio) == TAKE_S * rate:
            song = soxr.resample(audio, rate, RATE_HZ)
            songs.append(song * (10 ** (PEAK_DBFS / 20) / np.abs(song).max()))
    return songs


INTRODUCTION = """## Fingerprint

A unit's resistors, capacitors and loop gain are drawn once, each uniform within 5 %. It is enrolled
with {probes} probes. Then each of the {settings} settings of the grid is visited: the threshold is
set again within +-0.4 dB, at the enrolment too. *warm*: all parts move by up to 1 % since. *harsh*:
every single part moves by up to 5 % since. Each visit is judged under its true label and under
every label that is one knob one step off. Named: visits in which the most likely of all settings
has this knob right. A false alarm is a true label that is doubtful or contradicted; found, a wrong
one that is. Odds are powers of ten: of the truth against the next best setting, and against the
false label, in the worst of all cases.
Targets: each knob named in 98 of 100, found in 99 of 100, false alarms 1 in 100: all reached in
every row. Seeds are the units' numbers."""

PANEL_TEXT = """### The whole panel, and what cannot be told apart

All positions of the packaged rig (11 x 6 x 9 x 6), enrolled with 30 probes; {visits} random
settings on each law, warm, unit 4, judged against their one-step neighbours. Where a setting takes
less than 1 dB off the loudest step of the probe (-4 dBFS), because its threshold lies above it, no
knob shows and the verdict is 'not verifiable'.

{table}

Pairs with more reduction that are alike, as they differ by no more than a threshold set again by
0.4 dB and parts that moved do: {steps}. Of {lies} labels one step off none was confirmed."""

MUSIC_TEXT = """### A knob that is moved while music plays

{songs} songs, {seconds} s of each at -7 dBFS, {takes} random takes of each kind on either law,
unit 1, warm. *wrong*: one knob one step off all along; *moved*: half way through.

{table}

Named rightly where something was found: {named}. A knob that was moved is dated {late} s from the
true moment (5th to 95th percentile)."""
