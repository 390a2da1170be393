"""What the report shows of the takes and of the runs that recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from capture.dataset.columns import CHECKS
from capture.view.report import plots
from capture.view.report.limits import limits_of
from capture.view.report.page import Cell, Plot, Section, Table
from capture.view.report.plots import Limit
from capture.view.report.shown import doubles, five, panel_order, ranked, spread
from capture.view.report.source import Row, Source
from capture.view.report.takes import MOST_WARNINGS, Takes
from capture.view.text import amount, hours


def captured(source: Source, takes: Takes) -> Section:
    """What there is, and what is missing."""
    ledger = source.ledger
    facts: list[tuple[str, Cell]] = [
        ("dataset", str(source.identity.get("name"))),
        ("dataset id", str(source.identity.get("dataset_id"))),
        ("shown here", source.what),
        ("captured takes", takes.count),
        ("audio", hours(takes.audio_s)),
        ("songs with takes", len(takes.songs)),
        ("settings with takes", len(takes.settings)),
        ("first take", takes.first or None),
        ("last take", takes.last or None),
    ]
    if ledger:
        facts.insert(3, ("planned takes", ledger.planned))
        facts += [
            ("rejected takes", len(ledger.rejected)),
            ("takes withdrawn, to be recorded again", sum(ledger.withdrawn.values())),
            ("takes of releases that are recorded again", sum(ledger.superseded.values())),
            ("files in lost+found", ledger.lost),
        ]
    parts: list[Plot | Table] = [Table("The dataset", ("", ""), facts)]
    rows = [(a, b, count) for (a, b), count in sorted(takes.splits.items())]
    parts.append(Table("Takes by split", ("split of the song", "of the setting", "takes"), rows))
    if source.missing is not None:
        missing = sorted(source.missing.items())
        says = "" if missing else "Nothing: every take of the plan is captured."
        parts.append(
            Table("What the plan has and is not captured", ("why", "takes"), missing, says)
        )
    if ledger:
        for title, counts in (
            ("Missing takes by song", ledger.missing_songs),
            ("Missing takes by setting", ledger.missing_settings),
        ):
            if counts:
                parts.append(Table(title, ("", "takes"), ranked(counts)))
        if ledger.impossible:
            rows = sorted(ledger.impossible.items())
            parts.append(Table("Settings called impossible", ("setting", "reason"), rows))
    tries = [(number, count) for number, count in sorted(takes.attempts.items())]
    parts.append(Table("Attempts that a captured take needed", ("attempts", "takes"), tries))
    return Section("Captured and missing", (), parts)


def checks(source: Source, takes: Takes) -> Section:
    """Each check's figures against its limits, and the warnings."""
    parts: list[Plot | Table] = []
    rows: list[Sequence[Cell]] = []
    for name in CHECKS:
        verdicts = takes.verdicts.get(name)
        if not verdicts:
            continue
        limits = limits_of(name, source.limits)
        named = [limit for limit in limits if limit.name != "_"]
        figures = doubles(takes.figures[name])
        rows.append(
            (name, *(verdicts[word] for word in ("pass", "warn", "unverified", "fail")),
             *five(figures), *_two(named))
        )  # fmt: skip
        if len(figures):
            counted = f"{verdicts['pass']:,} passed, {verdicts['warn']:,} warned, "
            counted += f"{verdicts['unverified']:,} unverified"
            svg = plots.histogram([("takes", figures)], name, limits)
            parts.append(
                Plot(f"Check {name}", svg, f"{amount(len(figures), 'figure')}: {counted}.")
            )
    header = (
        "check", "pass", "warn", "unverified", "fail", "lowest", "5 %", "median", "95 %",
        "highest", "fails at", "warns at",
    )  # fmt: skip
    says = "Limits are those of the plan as it is now. docs/measurements.md explains each check."
    summary = [Table("All checks, of captured takes", header, rows, says), _warnings(takes)]
    return Section("Take checks", (), [*summary, *parts])


def _warnings(takes: Takes) -> Table:
    rows = [
        (one.captured_at, one.take_id, one.song_id, one.setting_id, one.check, one.figure)
        for one in takes.warned
    ]
    says = "" if rows else "None."
    if takes.warnings > MOST_WARNINGS:
        says = f"And {takes.warnings - MOST_WARNINGS:,} more: manifest/takes has all."
    header = ("captured at", "take", "song", "setting", "check", "figure")
    return Table("Warnings", header, rows, says)


def rejected(source: Source) -> Section:
    """What was recorded and does not count: why, and where its audio is."""
    ledger = source.ledger
    if ledger is None:
        return Section("Rejected and withdrawn", ("Only the ledger knows; it is not here.",))
    rows = [
        (take.captured_at, take.take_id, take.song_id, take.setting_id, take.attempts,
         "; ".join(f"{c.name} {_shown(c.figure)} (limit {_shown(c.limit)})"
                   for c in take.checks if c.verdict == "fail"),
         take.output_file)
        for take in ledger.rejected
    ]  # fmt: skip
    header = ("recorded at", "take", "song", "setting", "attempts", "failed", "its audio")
    parts: list[Plot | Table] = [
        Table("Rejected takes", header, rows, "" if rows else "None."),
        Table("Withdrawn, to be recorded again", ("reason", "takes"), ranked(ledger.withdrawn),
              "What was recorded of them is in lost+found/." if ledger.withdrawn else "None."),
    ]  # fmt: skip
    if ledger.superseded:
        says = "Their files stay: a release has them."
        rows = ranked(ledger.superseded)
        parts.append(Table("Takes of releases, recorded again", ("reason", "takes"), rows, says))
    says = (
        "A rejected take failed its checks every time; `capture run --retry-rejected` tries again."
    )
    return Section("Rejected and withdrawn", (says,), parts)


def gain(takes: Takes) -> Section:
    """How deep the takes are, by the position of each control."""
    says = (
        "Of each take the deepest gain and the mean gain, by its CV and its law; negative is "
        "attenuation, 0 dB the unit at rest.",
    )
    parts: list[Plot | Table] = []
    for control, deepest in takes.deepest_db.items():
        labels = sorted(deepest, key=panel_order)
        shown = labels if len(labels) <= len(plots.COLOURS) else []
        both = (("Deepest", deepest), ("Mean", takes.mean_db[control]))
        for word, found in both:
            found_parts = [(f"{control} {label}", doubles(found[label])) for label in labels]
            title = f"{word} gain of each take by {control}"
            if shown:
                svg = plots.histogram(found_parts, "dB of gain")
                parts.append(Plot(title, svg, "How many takes have it."))
            parts.append(spread(f"{title}, in dB", found_parts))
    return Section("Gain", says, parts)


def sessions(source: Source, takes: Takes) -> Section:
    """Runs of the program, what ended them, and how long people were waited for."""
    found = source.rows("sessions")
    rows = [
        (row["session_id"], row["started_at"], _lasted(row),
         row["outcome"] or "cut off, or running",
         takes.sessions[row["session_id"]], row["capture_version"])
        for row in found
    ]  # fmt: skip
    header = ("session", "started at", "lasted", "outcome", "takes that count", "capture")
    parts: list[Plot | Table] = [Table("Sessions", header, rows)]
    faults = [(row["ended_at"], row["session_id"], row["fault"]) for row in found if row["fault"]]
    says = "" if faults else "None."
    parts.append(Table("Faults that ended a session", ("at", "session", "fault"), faults, says))
    waits = doubles(row["waited_s"] for row in source.rows("visits"))
    if len(waits):
        title = "Time that was waited for a person"
        total = hours(float(waits.sum()))
        says = f"At each of {amount(len(waits), 'visit')} to a setting; {total} in all."
        svg = plots.histogram([("visits", waits)], "seconds", y="visits")
        parts += [Plot(title, svg, says), spread(f"{title}, in s", [("visits", waits)])]
    return Section("Sessions, waiting, faults", (), parts)


def _two(limits: Sequence[Limit]) -> tuple[Cell, Cell]:
    """What fails, what warns."""
    fails = next((limit.value for limit in limits if not limit.warn), None)
    return fails, next((limit.value for limit in limits if limit.warn), None)


def _lasted(row: Row) -> str | None:
    if row["ended_at"] is None:
        return None
    start, end = (datetime.fromisoformat(row[key]) for key in ("started_at", "ended_at"))
    return hours((end - start).total_seconds())


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"
