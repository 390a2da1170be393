"""What the rack really sent, and what happened to it, on disk.

Each start of a rack writes new files into the folder: ``frames.s32``, ``gain.f32`` and
``events.jsonl``, then ``frames-2.s32`` and so on. Epochs within one start (the rack vanished and
came back; the server did) are events in the same files.

``frames``: little-endian int32, all outputs interleaved, every frame that was sent, in order.
``gain``: little-endian float32, the unit's gain in dB on every frame that it heard, in order;
negative = attenuation, without make-up gain. It heard frame n while it sent frame n.
``events``: a JSON object a line, with ``event`` and ``frame``, the rack's own count of frames:
the event holds from that frame on. ``start`` (rate_hz, inputs), ``epoch`` (epoch, delay_frames by
input), ``gap`` (missed: frames that the server says passed by), ``left`` (why), ``take_begin``,
``take_end``, ``fault``, ``knobs``.

A thread of its own writes, every ``FLUSH_S`` at least; a rack that is killed leaves all before.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from capture.errors import StorageRefused
from capture.hardware.ports import Samples

FLUSH_S = 0.25

Event = dict[str, Any]
Gain = NDArray[np.float32]


class TruthWriter:
    """Writes what it is handed; handing it over never waits for a disk.

    ``on_error`` is called once, from the writing thread, if the disk refuses. Raises
    StorageRefused if the files cannot be begun.
    """

    def __init__(self, folder: Path, on_error: Callable[[StorageRefused], None]) -> None:
        self._folder = folder
        self._on_error = on_error
        self._waiting: queue.SimpleQueue[Samples | Gain | Event | None] = queue.SimpleQueue()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._frames, self._gain, self._events = _begin(folder)
        except OSError as error:
            raise _refused(folder, error) from None
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def put(self, item: Samples | Gain | Event) -> None:
        """Frames int32 (n, outputs) or gain float32 (n,), which must not change; or an event."""
        self._waiting.put(item)

    def close(self) -> None:
        """Writes all that was handed over."""
        self._waiting.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            with self._frames, self._gain, self._events:
                while self._write_for(FLUSH_S):
                    for file in (self._frames, self._gain, self._events):
                        file.flush()
        except OSError as error:
            self._on_error(_refused(self._folder, error))

    def _write_for(self, seconds: float) -> bool:
        """Writes what is there and what comes meanwhile; False if that was all there will be."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                item = self._waiting.get(timeout=left)
            except queue.Empty:
                break
            if item is None:
                return False
            if isinstance(item, dict):
                self._events.write(json.dumps(item).encode() + b"\n")
            elif item.dtype == np.float32:
                self._gain.write(np.ascontiguousarray(item, "<f4").data)
            else:
                self._frames.write(np.ascontiguousarray(item, "<i4").data)
        return True


def _begin(folder: Path) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """The next files that are not there yet."""
    number = 1
    while True:
        frames, gain, events = _files(folder, number)
        with contextlib.suppress(FileExistsError):
            return frames.open("xb"), gain.open("xb"), events.open("xb")
        number += 1


def _files(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """Of the ``number``th start: frames, gain, events."""
    suffix = f"-{number}" if number > 1 else ""
    return (
        folder / f"frames{suffix}.s32",
        folder / f"gain{suffix}.f32",
        folder / f"events{suffix}.jsonl",
    )


def _refused(folder: Path, error: OSError) -> StorageRefused:
    return StorageRefused(f"{folder}: the rack's truth cannot be written: {error.strerror}")


@dataclass(frozen=True, slots=True)
class Truth:
    """One start of a rack.

    ``frames`` int32 (n, outputs) and ``gain_db`` float32 (m,), read from disk as they are used.
    """

    inputs: tuple[str, ...]
    rate_hz: int
    frames: Samples
    gain_db: Gain
    events: list[Event]

    def of(self, event: str) -> list[Event]:
        """The events of that name."""
        return [found for found in self.events if found["event"] == event]


def read_truth(folder: Path) -> list[Truth]:
    """All starts of racks, in order; also while one of them runs, or after it was killed."""
    found: list[Truth] = []
    number = 1
    while (files := _files(folder, number))[2].exists():
        lines = files[2].read_bytes().split(b"\n")[:-1]  # behind the last \n: half a line
        events = [cast(Event, json.loads(line)) for line in lines]
        if events:
            inputs = tuple(events[0]["inputs"])
            values = _mapped(files[0], np.int32)
            whole = len(values) - len(values) % len(inputs)
            frames = values[:whole].reshape(-1, len(inputs))
            gain_db = _mapped(files[1], np.float32)
            found.append(Truth(inputs, events[0]["rate_hz"], frames, gain_db, events))
        number += 1
    return found


def _mapped(path: Path, kind: type[Any]) -> NDArray[Any]:
    """All whole values in a file of little-endian ones."""
    count = path.stat().st_size // 4
    return (
        np.memmap(path, np.dtype(kind).newbyteorder("<"), "r", shape=count)
        if count
        else np.zeros(0, kind)
    )
