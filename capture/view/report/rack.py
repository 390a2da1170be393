"""What the report shows of the rack: calibration, fingerprints, the drift of the reference."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from capture.dataset.columns import LEVELS, MEASURED
from capture.view.report import plots
from capture.view.report.page import Plot, Section, Table
from capture.view.report.shown import Clock, Figure, doubles, drawn, panel_order, spread
from capture.view.report.source import Row, Source
from capture.view.report.takes import Takes, positions

VERDICTS = ("confirmed", "doubtful", "contradicted", "not verifiable")


def calibration(source: Source, takes: Takes) -> Section:
    """Latency, law, levels over time, with their uncertainties."""
    parts: list[Plot | Table] = []
    delays, laws = source.rows("calibrations"), source.rows("laws")
    clock = Clock([*delays, *laws], "measured_at")
    channels = ("left", "right", "loopback")
    parts += drawn(
        "Latency",
        clock,
        "frames beyond the whole-frame cut",
        [
            (
                name, delays,
                lambda row, n=name: _less(row.get(f"delay_{n}_frames"), row["latency_frames"]),
                f"delay_uncertainty_{name}_frames",
            )
            for name in channels
        ],
        "The delay of each input that is left after the cut, each time the stream was opened.",
    )  # fmt: skip
    rows = [
        (row["measured_at"], row["latency_frames"], row["delay_left_frames"],
         row["delay_uncertainty_left_frames"], row["delay_right_frames"],
         row["delay_uncertainty_right_frames"], row["gain_law_origin"])
        for row in delays
    ]  # fmt: skip
    header = ("measured at", "cut, frames", "left", "+-", "right", "+-", "gain law")
    parts.append(Table("Latency of each opening, in frames", header, rows))
    if not laws:
        says = ("The law of the CV was not measured on this unit: it is the rig profile's.",)
        return Section("Calibration over time", says, parts)
    for title, unit, figures, says in _LAW_PLOTS:
        wanted = [(name, laws, key, error) for name, key, error in figures]
        parts += drawn(title, clock, unit, wanted, says)
    parts.append(_laws(laws))
    rows = [
        (row["measured_at"], name, row[f"{name}_planned_db"], row[f"{name}_measured_db"],
         row[f"{name}_uncertainty_db"], row[f"{name}_verdict"], row[f"{name}_reason"])
        for row in laws for name in LEVELS if row.get(f"{name}_verdict")
    ]  # fmt: skip
    header = ("measured at", "gain", "planned, dB", "measured", "+-", "verdict", "reason")
    parts.append(Table("Send and return gain", header, rows))
    parts += _levels(takes)
    return Section("Calibration over time", (), parts)


def _per_volt(key: str) -> Callable[[Row], float | None]:
    return lambda row: None if row[key] is None else row[key] / row["volts_per_fs"]


_LAW_PLOTS: tuple[tuple[str, str, tuple[tuple[str, Figure, Figure | None], ...], str], ...] = (
    ("Slope of the CV's law", "dB per volt",
     (("slope", _per_volt("gain_db_per_fs"), _per_volt("slope_uncertainty_db_per_fs")),
      ("left alone", _per_volt("slope_left_db_per_fs"), None),
      ("right alone", _per_volt("slope_right_db_per_fs"), None)),
     "Of both returns together, with one standard deviation, and of each."),
    ("Offset of the CV's law", "dB at 0 V",
     (("offset", "gain_db_at_zero", "at_zero_uncertainty_db"),),
     "The gain that the law reads at 0 V; bars are one standard deviation."),
    ("Accuracy of the CV's law", "dB",
     (("accuracy, rms", "accuracy_db", None), ("left of the line, rms", "residual_db", None)),
     "What is left from rest to the deepest gain, rms."),
    ("Drift of the CV's law", "dB",
     (("against the law before", "drift_db", None),
      ("levels against those before", "level_drift_db", None)),
     "By how much at most a law reads a gain otherwise than the one before it."),
    ("Static gain", "dB",
     (("left", "static_left_db", "static_uncertainty_db"),
      ("right", "static_right_db", "static_uncertainty_db")),
     "Unit and return at rest, make-up included; bars are one standard deviation."),
    ("Delay of the CV", "frames after the left return",
     (("CV", "cv_delay_frames", "cv_delay_uncertainty_frames"),),
     "Bars are one standard deviation."),
    ("Temperature", "degrees Celsius", (("rack", "temperature_c", None),),
     "Where a person or a sensor said it."),
)  # fmt: skip


def _laws(laws: Sequence[Row]) -> Table:
    rows = [
        (row["measured_at"], row["gain_db_per_fs"] / row["volts_per_fs"],
         row["slope_uncertainty_db_per_fs"] / row["volts_per_fs"], row["gain_db_at_zero"],
         row["at_zero_uncertainty_db"], row["accuracy_db"], row["drift_db"],
         row["deepest_gain_db"], row["tracking_db"], row["cv_delay_frames"], row["corner_hz"],
         row["temperature_c"])
        for row in laws
    ]  # fmt: skip
    header = (
        "measured at", "slope, dB/V", "+-", "at 0 V, dB", "+-", "accuracy, dB", "drift, dB",
        "deepest, dB", "right less left, dB", "CV delay, frames", "AC corner, Hz", "deg C",
    )  # fmt: skip
    return Table("The CV's law, each time it was measured", header, rows)


def _levels(takes: Takes) -> list[Plot | Table]:
    names = [name for name in takes.levels if len(takes.levels[name])]
    if not names:
        return []
    parts = [(name, doubles(takes.levels[name])) for name in names]
    says = "Peaks and RMS of the two returns, of every take."
    plot = Plot("Levels of the takes", plots.histogram(parts, "dBFS"), says)
    return [plot, spread("Levels of the takes, in dBFS", parts)]


def fingerprints(source: Source) -> Section:
    """What the sound said of each setting, and what was measured against what the panel says."""
    visits = source.rows("fingerprints")
    if not visits:
        return Section("Fingerprints", ("Settings were not probed on this rig.",))
    where = _positions_by_setting(source)
    words = Counter(row["verdict"] for row in visits)
    counts = [words[word] for word in VERDICTS]
    says = (
        "'Confirmed' says: the same positions as were enrolled. 'Not verifiable': not enrolled, "
        "too little reduction, or another setting that no probe can tell from it.",
    )
    title = "Verdicts of all visits"
    parts: list[Plot | Table] = [
        Plot(title, plots.bars(VERDICTS, counts, "visits"), "Every visit to a setting has one."),
        Table(title, ("verdict", "visits"), list(zip(VERDICTS, counts, strict=True))),
    ]
    by_setting: dict[str, Counter[str]] = defaultdict(Counter)
    for row in visits:
        by_setting[row["setting_id"]][row["verdict"]] += 1
    rows = [
        (name, *(found[word] for word in VERDICTS)) for name, found in sorted(by_setting.items())
    ]
    parts.append(Table("Visits of each setting, by verdict", ("setting", *VERDICTS), rows))
    doubted = [
        (row["measured_at"], row["setting_id"], row["verdict"], row["most_likely"], row["wrong"],
         row["log10_odds"], row["reason"])
        for row in visits if row["verdict"] in ("doubtful", "contradicted")
    ]  # fmt: skip
    if doubted:
        header = ("at", "label", "verdict", "most likely", "looks like", "log10 odds", "reason")
        parts.append(Table("Visits that were not as their labels", header, doubted))
    for figure in MEASURED:
        parts += _measured(figure, [row for row in visits if row["accepted"]], where)
    return Section("Fingerprints", says, parts)


def _positions_by_setting(source: Source) -> dict[str, dict[str, str]]:
    rows = [*source.rows("settings"), *source.rows("visits")]
    return {row["setting_id"]: positions(row, source.controls) for row in rows}


def _measured(
    figure: str, visits: Sequence[Row], where: dict[str, dict[str, str]]
) -> list[Plot | Table]:
    """One measured figure, at each position of the control that it belongs to."""
    control, unit = figure.partition("_")[0], figure.rpartition("_")[2]
    at: dict[str, list[float]] = defaultdict(list)
    for row in visits:
        label = where.get(row["setting_id"], {}).get(control)
        if label is not None and row[figure] is not None:
            at[label].append(row[figure])
    if not at:
        return []
    labels = sorted(at, key=panel_order)
    low, middle, high = (
        np.array([np.percentile(at[label], share) for label in labels]) for share in (0, 50, 100)
    )
    title = f"Measured {figure} against the label"
    y = figure if unit == figure else f"{figure.removesuffix(f'_{unit}')}, {unit}"
    svg = plots.ranges(labels, middle, low, high, f"position of {control}", y, log=unit == "ms")
    says = (
        "Median and range over the accepted visits at each position; what moves it are the other "
        "knobs. It is the unit's response, not the panel's scale."
    )
    rows = [
        (label, len(at[label]), *map(float, three))
        for label, *three in zip(labels, low, middle, high, strict=True)
    ]
    header = (f"position of {control}", "visits", "lowest", "median", "highest")
    return [Plot(title, svg, says), Table(title, header, rows)]


def references(source: Source) -> Section:
    """How far the rack has drifted since the reference's first take."""
    found = source.rows("references")
    if not found:
        return Section("Drift of the reference", ("The plan has no reference, or one take of it.",))
    clock = Clock(found, "captured_at")
    names = (("gain left", "gain_left_db"), ("gain right", "gain_right_db"), ("CV", "cv_db"),
             ("response", "response_db"))  # fmt: skip
    parts = drawn(
        "The reference against its first take", clock, "dB",
        [(name, found, key, None) for name, key in names],
        "The same song at the same setting: whatever differs, the rack did. Positive is louder.",
    )  # fmt: skip
    rows = [
        (
            row["captured_at"],
            row["take_id"],
            *(row[key] for _, key in names),
            row.get("accepted_by"),
        )
        for row in found
    ]
    header = ("captured at", "take", *(f"{name}, dB" for name, _ in names), "accepted by")
    parts.append(Table("The reference's takes", header, rows))
    return Section("Drift of the reference", (), parts)


def _less(value: float | None, other: float) -> float | None:
    return None if value is None else value - other
