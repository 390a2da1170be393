"""A session on a terminal: setting, song, level meters, progress of take and session."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from capture.model import Take
from capture.run import events
from capture.view.lines import say
from capture.view.progress import Progress
from capture.view.text import hours, level, pace

FLOOR_DBFS = -60.0
METER_CELLS = 40
Peaks = tuple[float | None, float | None, float | None]


class LiveView:
    """Redraws a panel as events come; lasting lines scroll above it.

    Who wants the terminal for something else closes it first: the next event draws it again.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress()
        self._take: Take | None = None
        self._attempt = 1
        self._step = "reading the songs"
        self._peaks: Peaks = (None, None, None)
        self._live: Live | None = None
        self._open()

    def _open(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._draw,
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()

    def __call__(self, event: events.Event) -> None:
        self._open()
        self._progress.add(event)
        match event:
            case events.SongStep(song, step):
                self._step = f"{step} {song}"
            case events.TakeStarted(take, attempt):
                self._take, self._attempt = take, attempt
            case events.TakeProgress(take, peaks_dbfs=peaks):
                if self._take == take:  # not the one before it, which is still being read
                    self._peaks = peaks
            case events.TakeDone(record=record) if record.status == "captured":
                pass  # the panel shows it; a rejected one stays in sight above it
            case events.KnobsSet():
                pass
            case _:
                line = say(event, self._progress)
                if line is not None:
                    self._console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> RenderableType:
        if self._take is None:
            return Text(self._step, style="dim", overflow="ellipsis", no_wrap=True)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", justify="right")
        rows.add_column()
        again = f" (attempt {self._attempt})" if self._attempt > 1 else ""
        rows.add_row("setting", Text(str(self._take.setting), style="bold"))
        rows.add_row("song", Text(self._take.song_id + again, style="bold"))
        for name, peak in zip(("left", "right", "CV"), self._peaks, strict=True):
            rows.add_row(name, _meter(peak))
        rows.add_row("take", self._bar(self._progress.take_seconds, self._take_seconds()))
        rows.add_row("session", self._bar(self._progress.fraction, 1.0))
        rows.add_row("", Text(self._figures(), style="dim"))
        return Group(rows)

    def _take_seconds(self) -> float:
        return self._take.frames / self._progress.sample_rate_hz if self._take else 1.0

    def _bar(self, done: float, total: float) -> ProgressBar:
        return ProgressBar(total=max(total, 1e-9), completed=done, width=METER_CELLS)

    def _figures(self) -> str:
        progress = self._progress
        left_s = progress.left_s
        rest = f", {hours(left_s)} left" if left_s is not None else ""
        rejected = f", {progress.rejected} rejected" if progress.rejected else ""
        takes = f"{progress.done} of {progress.to_record} takes{rejected}"
        return f"{takes}, {pace(progress.times_real_time)}{rest}"


def _meter(peak_dbfs: float | None) -> Text:
    """A bar from FLOOR_DBFS to 0 dBFS: green, yellow above -12, red above -1."""
    share = 0.0 if peak_dbfs is None else 1 - max(peak_dbfs, FLOOR_DBFS) / FLOOR_DBFS
    cells = round(share * METER_CELLS)
    loud = peak_dbfs if peak_dbfs is not None else FLOOR_DBFS
    colour = "red" if loud > -1 else "yellow" if loud > -12 else "green"
    bar = Text("█" * cells, style=colour)
    bar.append("·" * (METER_CELLS - cells), style="dim")
    return bar.append(f"  {level(peak_dbfs)}")
