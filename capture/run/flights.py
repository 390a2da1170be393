"""Takes in flight: each is recorded and judged in a thread of its own, two at most at a time.

While one plays, the one before it is judged and committed. The next begins when all of the last
one has been handed to the stream: back to back, without a gap. Whatever changes what is heard waits
until nothing is in flight: knobs; a stream that is to be measured or opened anew; a full disk.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from capture.dataset import files
from capture.dataset.folder import Folder
from capture.errors import DamagedData, DeviceLost, Interrupted, NoRoom, StorageRefused
from capture.hardware.ports import Proof
from capture.hardware.profile import RigProfile
from capture.model import CheckLimits, CheckResult, SongRecord, Take
from capture.plan.expand import Expansion
from capture.records import CalibrationRecord, FingerprintRecord, LawRecord
from capture.run import events, room
from capture.run.attempt import KNOBS, Attempt, attempt, discard
from capture.run.bench import Bench
from capture.run.fingerprints import Fingerprints
from capture.run.recorder import Parts, Route
from capture.signal.checks import Peaks
from capture.signal.marker import gap_frames

MOST = 2
LOOK_S = 0.1
REMEDY = "put it back, or have it made anew: capture run ... --repair"
FRAME_BYTES = 10
"""Left, right and CV of 24 bits, and what else there is: FLAC does not need more."""


@dataclass(frozen=True)
class Task:
    """What is recorded, and how."""

    folder: Folder
    expansion: Expansion
    songs: dict[str, SongRecord]
    profile: RigProfile
    limits: CheckLimits
    observe: events.Observer
    stop: Callable[[], None]
    """Raises Interrupted when somebody asked to stop. May be called in any thread."""


@dataclass(frozen=True, eq=False)
class Flight:
    """A take under way. ``found`` is known when it has been judged."""

    take: Take
    number: int
    calibration: CalibrationRecord
    proof: Proof
    fingerprint: FingerprintRecord | None
    law: LawRecord | None
    handed_over: threading.Event
    found: Future[Attempt]

    @property
    def may_be_followed(self) -> bool:
        return self.handed_over.is_set() or self.found.done()


@dataclass(frozen=True, slots=True)
class Landed:
    """A flight that has ended. ``attempt`` is None where the take must be recorded again.

    ``doubted``: takes before it that are in doubt since it was heard.
    """

    flight: Flight
    attempt: Attempt | None
    doubted: tuple[str, ...] = ()


class Flights:
    """Use it in a ``with`` block: leaving it ends whatever is still in flight."""

    def __init__(self, task: Task, bench: Bench, fingerprints: Fingerprints) -> None:
        self._task, self._bench, self._fingerprints = task, bench, fingerprints
        self._crew = ThreadPoolExecutor(MOST, thread_name_prefix="take")
        self._flying: deque[Flight] = deque()
        self._inbox: SimpleQueue[events.Event | None] = SimpleQueue()
        self._voids: Counter[str] = Counter()
        self._cancelled = threading.Event()
        self._sound_songs: dict[str, tuple[int, int]] = {}
        self._slipped: str | None = None
        self._accused: Counter[str] = Counter()
        self._suspects: set[Flight] = set()
        self._lost: DeviceLost | None = None
        self.full: NoRoom | None = None
        """Why the session pauses."""

    def __len__(self) -> int:
        return len(self._flying)

    def __enter__(self) -> Flights:
        return self

    def __exit__(self, *_: object) -> None:
        if self._flying:
            self._cancelled.set()
            self._bench.close()  # whoever waits for frames is woken by that
        wait(flight.found for flight in self._flying)
        for flight in self._flying:
            if flight.found.exception() is None:
                with contextlib.suppress(StorageRefused):  # the next run sweeps them
                    discard(flight.found.result().parts)
        self._crew.shutdown()

    @property
    def broken(self) -> bool:
        """Whether something must be put right before another take: see ``mend``."""
        return self._lost is not None or self._slipped is not None or self.full is not None

    def may_follow(self, take: Take) -> bool:
        """Whether ``take`` may be begun before anything else has landed."""
        return (
            len(self._flying) < MOST
            and not any(map(self._last_try, self._flying))
            and self._stands(take)
            and not self.worn(take)
        )

    def worn(self, take: Take) -> bool:
        """Whether the stream would be too old by the end of ``take``."""
        return self._bench.worn(self._seconds(take))

    def _stands(self, take: Take) -> bool:
        """Whether the knobs stand where ``take`` needs them, proven as far as may be."""
        return self._bench.stands_at(take.setting) and self._fingerprints.proven(take.setting)

    def add(self, take: Take) -> bool:
        """Begins ``take``; returns when it has been handed over. False if the device was lost.

        Raises Declined where the person at the rack does not set the knobs, HardwareFault.
        """
        try:
            _require_song(self._task, take, self._sound_songs)
            if not self._stands(take):
                self._fingerprints.visit(self._bench, take.setting)
            rate = self._bench.audio.sample_rate_hz
            settle = max(round(self._settle_s(take) * rate), gap_frames(rate))
            self._bench.audio.settle(settle)
        except DeviceLost as lost:
            self._lost = lost
            return False
        flight = self._launch(take)
        self._flying.append(flight)
        self._wait(lambda: flight.may_be_followed)
        return True

    def land(self) -> Landed:
        """Waits for the oldest flight to end.

        Raises whatever ended it, but for a lost device and a full disk: then the take is to be
        recorded again, as it is when it failed and has tries left.
        """
        flight = self._flying[0]
        self._wait(flight.found.done)
        self._flying.popleft()
        try:
            found = flight.found.result()
        except DeviceLost as lost:
            self._lost = lost
            return self._void(flight, *lost.messages)
        except NoRoom as full:
            self.full = full
            return self._void(flight, *full.messages)
        if flight in self._suspects and found.knobs != "pass":
            discard(found.parts)
            return self._void(flight, "a knob was moved before or while it was recorded")
        if moved := self._bench.moved():
            discard(found.parts)
            self._suspects = set(self._flying)
            return self._void(flight, *moved)
        if not found.failed:
            self._bench.landed()
            return Landed(flight, found)
        void = self._void(flight, *(_words(check, found) for check in found.failed))
        if found.knobs == "fail":
            discard(found.parts)
            return replace(void, doubted=self._accuse(flight.take))
        self._blame(flight.take, found)
        if self._voids[flight.take.take_id] > self._task.limits.retries:
            return Landed(flight, found)
        discard(found.parts)
        return void

    def put_off(self, flight: Flight, full: NoRoom) -> Landed:
        """It was recorded well, and there is no room to commit it."""
        self.full = full
        return self._void(flight, *full.messages)

    def _void(self, flight: Flight, *reasons: str) -> Landed:
        self._task.observe(events.TakeVoid(flight.take, flight.number, reasons))
        return Landed(flight, None)

    def _blame(self, take: Take, found: Attempt) -> None:
        """Counts a void attempt against its take, unless the take had no part in it."""
        if found.stream_failed and self._slipped is not None:
            return  # what slipped under the take before this one has slipped under this one
        self._voids[take.take_id] += 1
        if found.stream_failed:
            self._slipped = take.take_id
            if not self._flying:  # so it is on its last try: the device is looked for first
                self._measure()

    def _accuse(self, take: Take) -> tuple[str, ...]:
        """The music says that a knob was moved. The takes that are in doubt now."""
        self._accused[take.take_id] += 1
        self._suspects = set(self._flying)
        self._bench.forget_knobs()
        return tuple(self._fingerprints.moved())

    def _measure(self) -> None:
        """After a slip. A device that turns out to be gone was gone in that take already."""
        slipped, self._slipped = self._slipped, None
        if slipped is not None and not self._bench.measure():
            self._voids[slipped] -= 1

    def _last_try(self, flight: Flight) -> bool:
        """Such a take flies alone: before it is rejected, its device is looked for."""
        return self._voids[flight.take.take_id] >= self._task.limits.retries

    def mend(self, take: Take | None) -> None:
        """Nothing is in flight: the time to do what had to wait, ``take`` being the next.

        Raises HardwareFault, StorageRefused, Interrupted.
        """
        full, self.full = self.full, None
        lost, self._lost = self._lost, None
        if full is not None:
            longest = max(song.num_frames for song in self._task.songs.values())
            room.wait(
                self._task.folder.root,
                MOST * FRAME_BYTES * longest,
                self._task.profile.wait_for_room_s,
                full,
                self._task.observe,
                self._task.stop,
            )
        if lost is not None:
            self._slipped = None  # whatever it was, it is measured anew
            self._bench.recover(lost)
        elif self._slipped is not None:
            self._measure()
        elif take is not None and self.worn(take):
            self._bench.refresh()

    def _launch(self, take: Take) -> Flight:
        number = self._voids[take.take_id] + self._accused[take.take_id] + 1
        self._task.observe(events.TakeStarted(take, number))
        calibration, proof = self._bench.calibration, self._bench.proof
        assert proof is not None  # the knobs were turned
        handed_over = threading.Event()

        def hand_over() -> None:
            handed_over.set()
            self._inbox.put(None)

        def progress(frames: int, peaks: Peaks) -> None:
            if self._cancelled.is_set():
                raise Interrupted("interrupted")
            self._task.stop()
            self._inbox.put(events.TakeProgress(take, frames, peaks))

        found = self._crew.submit(
            attempt,
            self._bench.audio,
            self._route(take, calibration),
            take,
            number,
            _parts(self._task.folder, take),
            calibration,
            self._bench.law,
            self._task.limits,
            self._fingerprints.watch(take.setting),
            self._accused[take.take_id] > 0,
            hand_over,
            progress,
        )
        found.add_done_callback(lambda _: self._inbox.put(None))
        return Flight(
            take,
            number,
            calibration,
            proof,
            self._fingerprints.current,
            self._bench.law,
            handed_over,
            found,
        )

    def _route(self, take: Take, calibration: CalibrationRecord) -> Route:
        return Route(
            song=self._task.folder.root / self._task.songs[take.song_id].input_file,
            frames=take.frames,
            send_gain_db=self._task.expansion.recipe.send_gain_db,
            latency_frames=calibration.latency_frames,
        )

    def _wait(self, true: Callable[[], bool]) -> None:
        """Until something is true; shows what the threads say. Raises Interrupted."""
        while not true():
            self._task.stop()
            try:
                event = self._inbox.get(timeout=LOOK_S)
            except Empty:
                continue
            if event is not None:
                self._task.observe(event)

    def _settle_s(self, take: Take) -> float:
        return self._task.profile.settle_s(take.setting)

    def _seconds(self, take: Take) -> float:
        return self._settle_s(take) + take.frames / self._bench.audio.sample_rate_hz


def _parts(folder: Folder, take: Take) -> Parts:
    return Parts(*map(files.part_of, folder.take_files(take)))


def _require_song(task: Task, take: Take, sound: dict[str, tuple[int, int]]) -> None:
    """What is played must be what is claimed: hashes a song before its first take of the session,
    and again where the file has changed since.

    ``sound`` holds size and time of the songs that were found unharmed. Raises DamagedData.
    """
    song = task.songs[take.song_id]
    path: Path = task.folder.root / song.input_file
    try:
        found = path.stat()
        stamp = found.st_size, found.st_mtime_ns
        if sound.get(song.song_id) == stamp:
            return
        sha256 = files.sha256(path)
    except FileNotFoundError:
        raise DamagedData(f"{song.input_file}: is missing; {REMEDY}") from None
    except OSError as error:
        raise DamagedData(
            f"{song.input_file}: cannot be read: {error.strerror}; {REMEDY}"
        ) from None
    if sha256 != song.input_sha256:
        raise DamagedData(f"{song.input_file}: is not the file that was made; {REMEDY}")
    sound[song.song_id] = stamp


def _words(check: CheckResult, found: Attempt) -> str:
    if check.name == "stream_flags":
        return f"stream_flags: {', '.join(sorted(found.interval.flags))}"
    if check.name == KNOBS and found.seen:
        return f"a knob was moved: {found.seen.reason}"
    if check.figure is None:
        return f"{check.name}: nothing to measure"
    return f"{check.name}: {check.figure:.4g} (limit {check.limit:g})"
