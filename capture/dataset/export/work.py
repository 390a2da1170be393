"""Carries an export out: over processes, over several runs, over several machines at once.

Each file is written under a temporary name and committed by rename; a part is done when its record
``.export/NAME.json`` is there, with the hashes of its files. What a crash leaves behind:

* a temporary name: written anew by the next run;
* files without their part's record: whole, as they have their names; kept, and hashed;
* all records, but no SHA256SUMS: the next run writes what ends the layout.

``export.json`` says what is exported. The same command goes on; another one is refused. A part that
another process is writing is held by a lock, which ends with that process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from capture import __version__
from capture.dataset import files, select
from capture.dataset.export import formats
from capture.dataset.export.core import Done, File, Job, Layout, Part, job
from capture.dataset.export.sources import Sources
from capture.dataset.select import Selection
from capture.dataset.snapshot import Snapshot
from capture.errors import BadInput, DamagedData, DatasetBusy, Interrupted

REQUEST = "export.json"
RECORDS = ".export"
SUMS = "SHA256SUMS"
LOOK_S = 0.2
INFORMATION = ("capture_version",)
"""What of the request may change between two runs."""


@dataclass(frozen=True, slots=True)
class Report:
    """``parts`` are all of the export's; ``written`` those of this run. Sizes are of the files.

    ``left_out``: takes that the layout has no place for, and ``why``.
    """

    format: str
    out: str
    release: str | None
    takes: int
    songs: int
    hours: float
    parts: int
    done: int
    written: int
    files: int
    bytes: int
    left_out: int
    why: str
    finished: bool


def export(
    found: Snapshot,
    name: str,
    out: Path,
    wanted: Selection,
    part: str | None = None,
    jobs: int = 1,
    stop: Callable[[], None] = lambda: None,
    progress: Callable[[str], None] = lambda text: None,
) -> Report:
    """Writes the layout ``name`` of the selected takes to ``out``; ``part``: this slice of it only.

    ``stop`` is called often and may raise. ``progress`` gets a sentence for each part.

    Raises:
        BadInput: no such layout, selection or slice; ``out`` has something else in it.
        DamagedData: a file of the dataset is damaged; it is named.
        DatasetBusy: another process is writing the same part.
        StorageRefused: no room or no right to write.
    """
    layout_of = formats.find(name)
    table = select.takes(found, wanted)
    layout = layout_of.lay_out(found, table)
    turn = select.every(layout.parts, part)
    _begin(found.root, out, _request(found, name, wanted, layout))
    todo = [one for one in turn if _record(out, one) is None]
    if todo:
        (out / SUMS).unlink(missing_ok=True)
    for number, one in enumerate(_carry_out(found, name, out, layout, todo, jobs, stop), 1):
        progress(f"part {one}: written ({number} of {len(todo)})")
    records = [record for one in layout.parts if (record := _record(out, one)) is not None]
    done: Done = {file: facts for record in records for file, facts in record.items()}
    finished = len(records) == len(layout.parts)
    if finished:
        done = _finish(found, layout_of.finish(found, layout, done), out, done)
    rows = layout.table.select(["song_id", "num_frames", "sample_rate_hz"]).to_pylist()
    return Report(
        format=name,
        out=str(out),
        release=str(found.version) if found.version else None,
        takes=len(rows),
        songs=len({row["song_id"] for row in rows}),
        hours=sum(row["num_frames"] / row["sample_rate_hz"] for row in rows) / select.HOUR_S,
        parts=len(layout.parts),
        done=len(records),
        written=len(todo),
        files=len(done),
        bytes=sum(facts["bytes"] for facts in done.values()),
        left_out=layout.left_out,
        why=layout.why,
        finished=finished,
    )


def _request(found: Snapshot, name: str, wanted: Selection, layout: Layout) -> dict[str, Any]:
    """What the export is of: the same for every process that works on it."""
    digest = hashlib.sha256()
    columns = ("take_id", "input_sha256", "output_sha256", "cv_sha256")
    for row in layout.table.select(columns).to_pylist():
        digest.update("".join(row[column] for column in columns).encode())
    return {
        "format": name,
        "dataset_id": found.identity.get("dataset_id"),
        "name": found.identity.get("name"),
        "release": str(found.version) if found.version else None,
        "selection": asdict(wanted),
        "takes": len(layout.table),
        "takes_sha256": digest.hexdigest(),
        "parts": len(layout.parts),
        "capture_version": __version__,
    }


def _begin(root: Path, out: Path, request: dict[str, Any]) -> None:
    """Makes the folder, or proves that it was begun for the same."""
    path = out / REQUEST
    if out.resolve().is_relative_to(root.resolve()):
        raise BadInput(f"{out}: is inside the dataset, which is never changed; choose another OUT")
    with _locked(out, "begin", wait=True):
        strangers = {item.name for item in out.iterdir()} - {RECORDS, files.part_of(path).name}
        if strangers and not path.is_file():
            raise BadInput(
                f"{out}: holds other files ({', '.join(sorted(strangers)[:3])}) and is no export; "
                "choose another OUT"
            )
        if not path.is_file():
            files.write_text(path, json.dumps(request, indent=2) + "\n")
            return
        known = _json(path)
        other = [
            f"{key} {known.get(key)!r}, asked for is {value!r}"
            for key, value in request.items()
            if key not in INFORMATION and known.get(key) != value
        ]
        if other:
            raise BadInput(
                f"{out}: holds another export; choose another OUT, or remove it: "
                + "; ".join(other)
            )


def _carry_out(
    found: Snapshot,
    name: str,
    out: Path,
    layout: Layout,
    todo: Sequence[Part],
    jobs: int,
    stop: Callable[[], None],
) -> Iterator[str]:
    """Writes the parts; yields the name of each that is done."""
    if min(jobs, len(todo)) <= 1:
        for part in todo:
            _write(name, found.root, out, job(layout, part), stop)
            yield part.name
        return
    context = multiprocessing.get_context("spawn")
    halt = context.Event()
    waiting: dict[Future[None], str] = {}
    left = iter(todo)
    with ProcessPoolExecutor(min(jobs, len(todo)), context, _begin_worker, (halt,)) as pool:
        try:
            while True:
                # A part's rows are sent when a process is about to need them, not all at once.
                while len(waiting) < jobs + 1 and (part := next(left, None)) is not None:
                    with _signals_held():
                        task = pool.submit(_work, name, found.root, out, job(layout, part))
                    waiting[task] = part.name
                if not waiting:
                    return
                stop()
                for task in wait(waiting, LOOK_S, FIRST_COMPLETED).done:
                    task.result()
                    yield waiting.pop(task)
        except BaseException:
            halt.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextlib.contextmanager
def _signals_held() -> Generator[None]:
    """A process that begins in here never hears of Ctrl-C, not even before it can ignore it.

    It is for this one, which gets it at the end of the block, to halt the others.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_halt: Any = None


def _begin_worker(halt: Any) -> None:
    """A process of the pool: it stops when it is told to, and ends with the one that began it."""
    global _halt  # noqa: PLW0603 - a process of the pool has nowhere else to keep it
    _halt = halt
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _halted() -> None:
    if _halt is not None and _halt.is_set():
        raise Interrupted("interrupted")


def _work(name: str, root: Path, out: Path, one: Job) -> None:
    _write(name, root, out, one, _halted)


def _write(name: str, root: Path, out: Path, one: Job, stop: Callable[[], None]) -> None:
    """One part: its files, then its record."""
    done: Done = {}
    with _locked(out, one.name):
        for file, write in formats.find(name).files(one, Sources(root, stop)):
            stop()
            done[file] = _committed(out, file, write, anew=False)
        files.write_text(_record_path(out, one.name), json.dumps(done, indent=0) + "\n")


def _committed(out: Path, file: str, write: Callable[[Path], None], anew: bool) -> dict[str, Any]:
    """Writes a file that is not there yet; gives its hash and size."""
    target = out / file
    if anew or not target.is_file():
        with files.staged(target) as (path,):
            write(path)
    return {"sha256": files.sha256(target), "bytes": target.stat().st_size}


def _finish(found: Snapshot, ending: Iterator[File], out: Path, done: Done) -> Done:
    """Writes what tells of all parts, and the list of hashes; once."""
    with _locked(out, "finish", wait=True):
        there = (out / SUMS).is_file()
        for file, write in ending:
            done[file] = _committed(out, file, write, anew=not there)
        request = out / REQUEST
        done[REQUEST] = {"sha256": files.sha256(request), "bytes": request.stat().st_size}
        lines = [f"{facts['sha256']}  {file}\n" for file, facts in sorted(done.items())]
        if not there:
            files.write_text(out / SUMS, "".join(lines))
    return done


def _record(out: Path, part: Part) -> Done | None:
    """What a part's files are; None where it is not done, or a file of it is gone."""
    path = _record_path(out, part.name)
    if not path.is_file():
        return None
    record = cast(Done, _json(path))
    for file, facts in record.items():
        target = out / file
        if not target.is_file() or target.stat().st_size != facts["bytes"]:
            target.unlink(missing_ok=True)
            return None
    return record


def _record_path(out: Path, name: str) -> Path:
    return out / RECORDS / f"{name}.json"


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DamagedData(f"{path}: cannot be read: {error}; remove it, then run again") from None


@contextlib.contextmanager
def _locked(out: Path, name: str, *, wait: bool = False) -> Generator[None]:
    from filelock import FileLock, Timeout

    folder = out / RECORDS
    with files.writing(out):
        files.make_folder(folder)
        lock = FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except Timeout:
            raise DatasetBusy(f"{out}: another export writes part {name}; wait for it") from None
    try:
        yield
    finally:
        lock.release()
