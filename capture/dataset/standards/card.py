"""``README.md``: the dataset card, written from the facts. Pure.

Its YAML is what the Hugging Face Hub reads. What the plan's ``about`` does not say is said to be
not stated. Source: Hugging Face Hub, 'Dataset Cards' and the list of licence identifiers.
"""

from __future__ import annotations

import json
from typing import Any

from capture.dataset.standards import figures, huggingface, rai
from capture.dataset.standards.facts import NOT_STATED, Facts
from capture.dataset.standards.figures import histogram, span, table

NAME = "README.md"
HUB_LICENSES = (
    "apache-2.0", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "mit",
)  # fmt: skip
HUB_NAMES = {"odbl-1.0": "odbl", "pddl-1.0": "pddl"}
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))
SPLITS = {
    "train": "songs and settings to train on",
    "test": "the three unseen ones together",
    "unseen_song": "songs that are not in `train`, at its settings",
    "unseen_setting": "songs of `train`, at settings that are not in it",
    "unseen_both": "neither the song nor the setting is in `train`",
    "reference": "one song at one setting, again and again: how far the rack drifted",
}
LOAD = """\
```python
import datasets  # 4 or newer, with torch, torchcodec and FFmpeg

takes = datasets.load_dataset("path/to/this/folder", split="{split}")
take = takes[0]
wet = take["output"].get_all_samples().data        # (2, frames); "input", "cv" likewise
cv = take["cv"].get_all_samples().data[0]
gain_db = cv * take["gain_db_per_fs"] + take["gain_db_at_zero"]   # negative = attenuation
```

```python
import mlcroissant

for take in mlcroissant.Dataset("path/to/this/folder/croissant.json").records("takes"):
    print(take["takes/output_file"], take["takes/threshold_db"])
```

```python
import capture

dataset = capture.load("path/to/this/folder", "{version}")
```
"""
CHECK = """\
```
mlcroissant validate --jsonld croissant.json
bagit.py --validate .                         # every file of data/, and that there is no other
sha256sum --quiet -c manifest-sha256.txt      # the same, but for files too many
frictionless validate datapackage.json        # the tables, cell by cell
find data -name '*.flac' -exec flac -ts {} +  # every sample
```
"""


def text(facts: Facts) -> str:
    """The file's text."""
    return "".join(
        (
            _front(facts),
            f"# {' '.join(facts.name.split())}\n\n{facts.description}\n\n",
            _identity(facts),
            "## What is in it\n\n", _contents(facts),
            "## How to load it\n\n", LOAD.format(split=_first_split(facts), version=facts.version),
            "\nEach column is explained in `datapackage.json` and `croissant.json`.\n\n",
            "## Hardware\n\n", _hardware(facts),
            "## Levels\n\n", _levels(facts),
            "## How well it was measured\n\n", _accuracy(facts),
            "## Settings\n\n", _settings(facts),
            "## Known faults\n\n", _faults(facts),
            "## How to check it\n\n", CHECK,
            "\n## Licence and citation\n\n",
            f"Licence: {facts.about.license or NOT_STATED}.\n\n",
            f"Citation: {facts.about.citation or NOT_STATED}\n",
        )
    )  # fmt: skip


def _front(facts: Facts) -> str:
    takes = facts.takes.num_rows
    head: dict[str, Any] = {
        "pretty_name": facts.name,
        **_license(facts.about.license),
        "task_categories": ["audio-to-audio"],
        "tags": sorted({*facts.about.keywords, "audio"}),
        "size_categories": [next((name for most, name in SIZES if takes < most), "n>1M")],
    }
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items())
    return f"---\n{lines}{huggingface.configs(facts.takes)}---\n"


def _license(stated: str | None) -> dict[str, str]:
    """The Hub knows licences by names of its own; another one is ``other``, with its name."""
    if stated is None:
        return {}
    name = stated.lower()
    if name in HUB_LICENSES or name in HUB_NAMES:
        return {"license": HUB_NAMES.get(name, name)}
    link = {"license_link": stated} if "://" in stated else {}
    return {"license": "other", "license_name": stated, **link}


def _identity(facts: Facts) -> str:
    release, about = facts.release, facts.about
    pairs = {
        "version": f"{facts.version}, released {release['released_at']}",
        "dataset": facts.found.identity["dataset_id"],
        "creators": ", ".join(about.creators) or NOT_STATED,
        "licence": about.license or NOT_STATED,
        "page": about.url or NOT_STATED,
        "recorded": f"{facts.captured[0]} to {facts.captured[1]}",
        "made with": f"capture {release['capture_version']}",
    }
    return "".join(f"- {key}: {value}\n" for key, value in pairs.items()) + "\n"


def _contents(facts: Facts) -> str:
    release = facts.release
    sizes = huggingface.sizes(facts.takes)
    rows = [[f"`{name}`", size, SPLITS[name]] for name, size in sizes.items()]
    return (
        f"{release['takes']} takes of {release['songs']} songs at {release['settings']} settings: "
        f"{release['audio_s'] / 3600:.2f} hours. {rai.missing(release)}\n\n"
        + table(["split", "takes", ""], rows)
        + "\n"
    )


def _first_split(facts: Facts) -> str:
    return next(iter(huggingface.splits(facts.takes)))


def _hardware(facts: Facts) -> str:
    rig, cv = facts.rig, facts.rig.cv
    knobs = [[f"`{name}`", profile.driver, profile.unit] for name, profile in rig.controls.items()]
    anchors = [
        [row["direction"], row["channel"], _cell(row["dbu"]), _cell(row["volts_per_fs"]),
         row["method"], row["measured_by"] or NOT_STATED]
        for row in facts.found.rows("anchors") if row["holds"]
    ]  # fmt: skip
    return (
        f"Rig `{rig.name}`: {figures.device(facts)}, {facts.plan.sample_rate_hz} Hz. Control "
        f"voltage: {cv.volts_per_fs:g} V at full scale, {cv.coupling.upper()}-coupled.\n\n"
        + table(["control", "turned by", "unit"], knobs)
        + ("\n" + table(["", "channel", "dBu at 0 dBFS", "V at full scale", "method", "by"],
                        anchors) if anchors else "")
        + "\n"
    )  # fmt: skip


def _cell(value: float | None) -> str:
    return NOT_STATED if value is None else f"{value:g}"


def _levels(facts: Facts) -> str:
    level, takes = facts.plan.level, facts.takes
    rms = figures.values(takes, "rms_left_dbfs")
    return (
        f"Songs are normalised by {level.normalize} to {level.target_db:g} dB, sent "
        f"{level.send_gain_db:+g} dB louder ({figures.tally(takes, 'send_gain_verdict')}), "
        f"returned {level.return_gain_db:+g} dB ({figures.tally(takes, 'return_gain_verdict')}).\n"
        "\nDeepest gain of each take, by the control voltage:\n\n```\n"
        + histogram(figures.deepest_gain_db(takes), 3.0, "dB")
        + "```\n\nRMS of the left return of each take:\n\n```\n"
        + histogram(rms, 3.0, "dBFS")
        + "```\n\n"
    )


def _accuracy(facts: Facts) -> str:
    found, takes = facts.found, facts.takes
    calibrations, laws, drifts = (found.table(n) for n in ("calibrations", "laws", "references"))
    rows = [
        ("whole-frame latency", "frames", span(calibrations, "latency_frames")),
        ("what is left of it, left and right", "frames",
         span(takes, "delay_left_frames", "delay_right_frames")),
        ("its uncertainty, largest", "frames",
         figures.largest(calibrations, "delay_uncertainty_left_frames",
                         "delay_uncertainty_right_frames")),
        ("gain law: error from rest to the deepest, rms", "dB", span(laws, "accuracy_db")),
        ("gain law: measured down to", "dB", span(laws, "deepest_gain_db")),
        ("gain law: drift from one to the next, largest", "dB", figures.largest(laws, "drift_db")),
        ("CV later than the left return", "frames", span(laws, "cv_delay_frames")),
        ("rack's temperature", "degrees C", span(takes, "temperature_c")),
        ("reference: level against the first, largest", "dB",
         figures.largest(drifts, "gain_left_db", "gain_right_db")),
        ("reference: gain of the CV against the first, largest", "dB",
         figures.largest(drifts, "cv_db")),
    ]  # fmt: skip
    return (
        f"{calibrations.num_rows} calibrations, {laws.num_rows} laws of the control voltage; the "
        f"law of the takes: {figures.tally(takes, 'gain_law_origin')}. Uncertainties are one "
        "standard deviation.\n\n"
        + table(["", "unit", ""], [[a, b, c or "not measured"] for a, b, c in rows])
        + "\n"
    )


def _settings(facts: Facts) -> str:
    settings, takes = facts.found.table("settings"), facts.takes
    rows: list[list[object]] = []
    for name in facts.controls:
        if name.endswith("_auto"):
            count = figures.counts(settings, name).get("True", 0)
            rows.append([f"`{name}`", f"at auto in {count} settings"])
        else:
            positions = sorted(set(figures.values(settings, name).tolist()))
            shown = [f"{value:g}" for value in positions]
            more = [f"... {shown[-1]} ({len(shown)} positions)"] if len(shown) > 16 else []
            rows.append([f"`{name}`", " ".join(shown[:16] + more) or "none"])
    return (
        table(["control", "positions"], rows)
        + f"\nHow far the knobs are proven: {figures.tally(takes, 'knobs_confirmed')}. What the "
        f"sound says of the settings: {figures.tally(takes, 'fingerprint_verdict')}.\n\n"
    )


def _faults(facts: Facts) -> str:
    found = figures.faults(facts)
    listed = "".join(f"- {sentence}\n" for sentence in found) or "None is known.\n"
    checks = figures.warnings(facts.takes)
    if not checks:
        return listed + "\n"
    rows = [[f"`check_{name}`", warned, unverified] for name, warned, unverified in checks]
    return (
        f"{listed}\nTake checks that are not all pass (of {facts.takes.num_rows} takes):\n\n"
        + table(["check", "warn", "unverified"], rows)
        + "\n"
    )
