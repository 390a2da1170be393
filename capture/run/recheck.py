"""The take checks once more, on the audio as it is stored.

A row says what was found while its take was recorded. Here the same code (``Listener``,
``markers``, ``passive``) hears the same samples again, read from the files block by block, with
what the take stood on: calibration and law, the inputs of its session's rig, the limits of its
session's plan, and what was known of the unit when its setting was proven. Figures and verdicts
must be those of the row; where they are not, the row says what the audio does not show.

Not in the files, and so not repeated: what the stream said of itself, and the loopback while the
song was played (``OF_THE_STREAM``). That a probe knew better than the music (``knobs_log10`` warns,
and does not fail) is believed.

The takes come in the order of the visits to their settings, since the model of the unit has learnt
from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from capture.dataset.audio import read_blocks
from capture.dataset.claims import Damage, check, song_claim, take_claims
from capture.dataset.folder import Folder
from capture.errors import DamagedData
from capture.model import CheckResult, Setting
from capture.records import TakeRecord
from capture.run import markers
from capture.run.fingerprints import watcher
from capture.run.ledger import Ledger
from capture.run.listener import Listener
from capture.run.markers import Around
from capture.run.recorder import Route, sent
from capture.run.spread import spread
from capture.run.standing import Stored, Wanted, stored_takes
from capture.signal.checks import ALGORITHM_VERSION, TakeLevels
from capture.signal.fingerprint import passive

OF_THE_STREAM = ("stream_flags", "clock_frames", "pilot_db")
OF_THE_MARKERS = (
    "marker_head_frames", "marker_tail_frames", "marker_inverted", "marker_drift_ppm",
)  # fmt: skip
TOLERANCE = 1e-3
"""By how much a figure may be another, in its own unit or as a share of itself: another processor
sums in another order."""
UNSURE = 0.02
"""The same of a figure that both call unverified: what a take does not show well is not sharp."""
EXACT = 1e-6
"""The same of levels, which are sums and extremes of the samples."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the files say. ``unheard``: the checks that they do not hold enough for."""

    checks: tuple[CheckResult, ...]
    levels: TakeLevels
    cv_start_fs: float | None
    unheard: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a row says, and what was found instead. A verdict is null where it is no check."""

    take_id: str
    name: str
    row: float | None
    found: float | None
    row_verdict: str | None = None
    found_verdict: str | None = None

    def __str__(self) -> str:
        row, found = (
            " ".join(
                word for word in (verdict, "nothing" if value is None else f"{value:.6g}") if word
            )
            for value, verdict in (
                (self.row, self.row_verdict),
                (self.found, self.found_verdict),
            )
        )
        return f"{self.name}: the row says {row}, the audio {found}"


@dataclass(frozen=True, slots=True)
class Judged:
    """One take. ``off``: by how much each figure that agrees is not the row's. ``unheard``: see
    ``Heard``. ``damage``: its files are not whole."""

    take: TakeRecord
    damage: tuple[Damage, ...]
    differences: tuple[Difference, ...] = ()
    off: tuple[tuple[str, float], ...] = ()
    unheard: tuple[str, ...] = ()

    @property
    def other_checks(self) -> bool:
        """Whether it was judged by other checks than these: then figures need not be the same."""
        return self.take.checks_version != ALGORITHM_VERSION


@dataclass(frozen=True, slots=True)
class Report:
    """All takes that were heard. ``largest_off``: of each check, by how much a figure that agrees
    is at most not the row's, in its unit or as a share of it where it is above 1."""

    takes: int
    audio_s: float
    damage: tuple[Damage, ...]
    differences: tuple[Difference, ...]
    largest_off: dict[str, float]
    notes: tuple[str, ...]


def recheck(
    folder: Folder,
    ledger: Ledger,
    wanted: Wanted,
    known: AbstractSet[str] | None,
    jobs: int,
    progress: Callable[[str], None],
    stop: Callable[[], None],
) -> Report:
    """Judges every captured take that is ``wanted``, in ``jobs`` processes.

    ``known``: the files that are damaged; takes with such a file are left out. None: no file has
    been looked at, and each is, before it is heard. ``stop`` is called between takes and may raise.
    Raises DamagedData where the ledger cannot say what a take stood on.
    """
    damage: list[Damage] = []
    differences: list[Difference] = []
    notes: dict[str, int] = {}
    largest_off: dict[str, float] = {}
    takes, others, audio_s = 0, 0, 0.0
    for judged in spread(judge, stored_takes(folder.root, ledger, wanted, known), jobs):
        stop()
        take = judged.take
        takes += 1
        others += judged.other_checks
        audio_s += take.num_frames / take.sample_rate_hz
        progress(f"{takes}: {take.output_file}")
        damage += judged.damage
        for name, off in judged.off:
            largest_off[name] = max(off, largest_off.get(name, 0.0))
        for name in judged.unheard:
            notes[name] = notes.get(name, 0) + 1
        if judged.differences:
            differences += judged.differences
            words = "; ".join(map(str, judged.differences))
            damage.append(Damage("disagrees", take.output_file, f"take {take.take_id}: {words}"))
    return Report(
        takes,
        audio_s,
        tuple(dict.fromkeys(damage)),
        tuple(differences),
        largest_off,
        (
            *(
                f"{name}: not repeated for {count} takes, of which too little was kept"
                for name, count in notes.items()
            ),
            *(
                [
                    f"check figures: not compared for {others} takes, judged by other checks than "
                    f"these ({ALGORITHM_VERSION})"
                ]
                if others
                else []
            ),
        ),
    )


def judge(stored: Stored) -> Judged:
    """Hears one take again and holds it against its row."""
    if stored.unread:
        claims = (song_claim(stored.song), *take_claims(stored.take))
        damage = [found for claim in claims if (found := check(stored.root, claim))]
        if damage:
            return Judged(stored.take, tuple(damage))
    try:
        heard = hear(stored)
    except DamagedData as error:
        what = Damage("altered", stored.take.output_file, str(error))
        return Judged(stored.take, (what,))
    return Judged(stored.take, (), *compare(stored, heard), heard.unheard)


def hear(stored: Stored) -> Heard:
    """All checks of the files' samples. Raises DamagedData where they cannot be read."""
    take, calibration, root = stored.take, stored.calibration, stored.root
    around = _around(stored)
    listener = Listener(calibration, stored.law, stored.song.num_frames)
    if around is not None and around.pause is not None:
        listener.silence(around.pause[:, stored.inputs.index("cv")])
    route = Route(
        song=root / stored.song.input_file,
        frames=stored.song.num_frames,
        send_gain_db=take.send_gain_db,
        latency_frames=take.latency_frames,
    )
    blocks = zip(
        sent(route),
        read_blocks(root / take.output_file),
        read_blocks(root / take.cv_file),
        strict=False,
    )
    for played, output, cv in blocks:
        listener.song(played[: len(output)], output, cv[:, 0])
    marked = markers.verdicts(stored.inputs, around, calibration, stored.limits) if around else ()
    return Heard(
        (*marked, *listener.verdicts(stored.limits), *_knobs(stored, listener)),
        listener.meter.levels(),
        listener.cv_start_fs,
        _unheard(stored, around),
    )


def _around(stored: Stored) -> Around | None:
    """Raises DamagedData where it is there and is not what was recorded."""
    take = stored.take
    if take.markers_file is None:
        return None
    blocks = [*read_blocks(stored.root / take.markers_file)]
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 0), np.int32)
    around = Around.of(samples, take.sample_rate_hz, stored.song.num_frames)
    if around is None or samples.shape[1] != len(stored.inputs):
        raise DamagedData(
            f"{take.markers_file}: {samples.shape[0]} frames of {samples.shape[1]} channels are "
            "not what is recorded around a take"
        )
    return around


def _unheard(stored: Stored, around: Around | None) -> tuple[str, ...]:
    """Of older takes: without the silence before the song an AC-coupled CV cannot be repaired."""
    if around is not None and around.pause is not None:
        return ()
    missing = () if around else OF_THE_MARKERS
    if stored.take.cv_corner_hz is None:
        return *missing, "settle_db"
    return tuple(check.name for check in stored.take.checks)


def _knobs(stored: Stored, listener: Listener) -> tuple[CheckResult, ...]:
    take = stored.take
    setting = Setting(take.setting)
    watch = watcher(stored.model, stored.controls, setting) if stored.model else None
    seen = watch(listener.stretches.heard()) if watch else None
    said = {check.name: check.verdict for check in take.checks}
    return passive.verdicts(seen, overruled=said.get("knobs_log10") == "warn")


def compare(
    stored: Stored, heard: Heard
) -> tuple[tuple[Difference, ...], tuple[tuple[str, float], ...]]:
    """What is not as the row says; and by how much each figure that agrees is off."""
    take, found = stored.take, {check.name: check for check in heard.checks}
    differences: list[Difference] = []
    agreed: list[tuple[str, float]] = []
    for row in take.checks if take.checks_version == ALGORITHM_VERSION else ():
        if row.name in OF_THE_STREAM or row.name in heard.unheard:
            continue
        now = found.get(row.name, CheckResult(row.name, None, row.limit, "unverified"))
        off = _off(row.figure, now.figure)
        unsure = row.verdict == now.verdict == "unverified"
        if off > (UNSURE if unsure else TOLERANCE) or not _same_verdict(row, now):
            differences.append(
                Difference(take.take_id, row.name, row.figure, now.figure, row.verdict, now.verdict)
            )
        else:
            agreed.append((row.name, off))
    facts = _facts(stored, heard) if take.cv_corner_hz is None or not heard.unheard else ()
    differences += [
        Difference(take.take_id, name, row, now)
        for name, row, now in facts
        if _off(row, now) > EXACT
    ]
    return tuple(differences), tuple(agreed)


def _off(row: float | None, found: float | None) -> float:
    """In the figure's unit, or as a share of it where it is above 1."""
    if row is None or found is None:
        return 0.0 if row is found else float("inf")
    return abs(row - found) / max(1.0, abs(row))


def _same_verdict(row: CheckResult, found: CheckResult) -> bool:
    """A figure that stands at its limit may pass here and not there."""
    if row.verdict == found.verdict:
        return row.limit == found.limit
    limits = {limit for limit in (row.limit, found.limit) if limit is not None}
    return row.figure is not None and any(
        _off(abs(row.figure), abs(limit)) < TOLERANCE for limit in limits
    )


def _facts(stored: Stored, heard: Heard) -> Iterator[tuple[str, float | None, float | None]]:
    """What else the row says of the samples, and of its calibration: name, row's, found."""
    take, levels, calibration = stored.take, heard.levels, stored.calibration
    for name in ("peak_left_dbfs", "peak_right_dbfs", "rms_left_dbfs", "rms_right_dbfs"):
        yield name, getattr(take, name), getattr(levels, name)
    for name in ("min", "max", "mean"):
        volts = getattr(levels, f"cv_{name}_fs") * take.cv_volts_per_fs
        yield f"cv_{name}_v", getattr(take, f"cv_{name}_v"), volts
    yield "cv_start_fs", take.cv_start_fs, heard.cv_start_fs
    left, law = calibration.left_over("left"), stored.law
    yield "latency_frames", take.latency_frames, calibration.latency_frames
    yield "delay_left_frames", take.delay_left_frames, left
    yield "delay_right_frames", take.delay_right_frames, calibration.left_over("right")
    yield "delay_cv_frames", take.delay_cv_frames, left + law.cv_delay_frames if law else None
    yield "gain_db_per_fs", take.law.gain_db_per_fs, calibration.law.gain_db_per_fs
    yield "gain_db_at_zero", take.law.gain_db_at_zero, calibration.law.gain_db_at_zero
    yield "cv_corner_hz", take.cv_corner_hz, law.corner_hz if law else None
    yield "cv_offset_fs", take.cv_offset_fs, law.offset_fs if law else None
