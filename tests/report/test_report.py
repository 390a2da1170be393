"""``capture report``: one page that needs nothing but itself, the same for the same dataset."""

from __future__ import annotations

import html.parser
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from capture.dataset.columns import CHECKS
from capture.model import CheckLimits
from capture.view.report import page, plots, source
from capture.view.report.limits import limits_of
from capture.view.report.page import Plot, Section, Table
from capture.view.report.takes import Takes
from tests.session.conftest import Desk, rows

PLAN = """\
schema_version: 1
name: small
rig: simulated
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid: {threshold_db: [-28], attack_ms: [0.1, 3], release_s: [0.1, auto], ratio: [4]}
splits: {seed: 1, test_songs: 1}
reference:
  setting: {threshold_db: -28, attack_ms: 3, release_s: auto, ratio: 4}
  every_settings: 1
checks: {crosstalk_warn_db: -150, retries: 0}
"""
NAMES = re.compile(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>\s]*)""")


class Outline(html.parser.HTMLParser):
    """What a page is made of; complains of what is not closed."""

    VOID = ("meta", "link", "br", "img", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.seen.append((tag, found))
        if (name := found.get("id")) is not None:
            self.ids.append(name)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.seen)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Three songs' worth of takes, one rejected at its first try, one left out."""
    desk = Desk(tmp_path_factory.mktemp("shown"))
    desk.song("one.wav", 0.7, seed=1)
    desk.song("two.wav", 0.6, seed=2)
    (desk.folder / "plan.yaml").write_text(PLAN, "utf-8")
    faults = "[ok, {kind: invert, channels: [left]}]"
    desk.rig("rig.yaml", faults=faults)
    desk.fails(3, "run", "plan.yaml", "--rig", "rig.yaml", "--out", "d")
    desk.ok("report", "d", "--out", "d.html")
    return desk


def text(desk: Desk, name: str = "d.html") -> str:
    return (desk.folder / name).read_text("utf-8")


def test_the_page_needs_nothing_but_itself(shown: Desk) -> None:
    outline = Outline(text(shown))
    assert not any(tag in ("script", "link", "img", "iframe", "object") for tag, _ in outline.seen)
    ids = set(outline.ids)
    assert len(ids) == len(outline.ids)
    for reference in NAMES.findall(text(shown)):
        assert reference.startswith("#")
        assert reference[1:] in ids


def test_each_picture_has_a_name_and_a_description_and_tables_have_captions(shown: Desk) -> None:
    outline = Outline(text(shown))
    ids = set(outline.ids)
    pictures = [found for tag, found in outline.seen if tag == "svg"]
    assert len(pictures) > len(CHECKS) / 2
    for found in pictures:
        assert found["role"] == "img"
        assert set((found["aria-labelledby"] or "").split()) <= ids
    assert outline.count("caption") == outline.count("table") > 15
    assert outline.count("figcaption") == outline.count("figure") == len(pictures)
    assert outline.count("h1") == outline.count("main") == 1


def test_it_is_the_same_byte_for_byte(shown: Desk) -> None:
    shown.ok("report", "d", "--out", "again.html")
    assert text(shown, "again.html") == text(shown)


def test_it_says_what_the_dataset_says(shown: Desk) -> None:
    found = text(shown)
    takes = rows(shown.folder / "d")
    assert f'<td>captured takes</td><td class="number">{len(takes)}</td>' in found
    with closing(sqlite3.connect(shown.folder / "d" / "ledger.sqlite")) as ledger:
        ((take_id, output),) = ledger.execute(
            "SELECT take_id, json_extract(record, '$.output_file') FROM takes "
            "WHERE status = 'rejected'"
        ).fetchall()
    assert "evidence/rejected/" in output
    for part in (take_id, output, "polarity", "failed their checks every time"):
        assert part in found
    for check in CHECKS:
        assert f"<td>{check}</td>" in found
    assert found.count('<td>crosstalk_db</td><td class="number">') > len(takes) / 2  # each warned
    for song in {row["song_id"] for row in takes}:
        assert song in found


def test_without_the_ledger_the_tables_are_shown(shown: Desk, tmp_path: Path) -> None:
    shutil.copytree(shown.folder / "d", tmp_path / "d")
    (tmp_path / "d" / "ledger.sqlite").unlink()
    found = Desk(tmp_path).json("report", "d")
    assert found["shows"] == "what is captured so far"
    copy = (tmp_path / "report.html").read_text("utf-8")
    assert "Only the ledger knows" in copy
    # All that is in the tables is shown alike, to the last byte.
    for title in ("take-checks", "gain", "calibration-over-time", "fingerprints"):
        assert section(copy, title) == section(text(shown), title)


def section(page_text: str, name: str) -> str:
    start = page_text.index(f'<section id="{name}">')
    return re.sub(r"\bf\d+-", "f-", page_text[start : page_text.index("</section>", start)])


def test_a_release_is_shown_as_it_was(shown: Desk, tmp_path: Path) -> None:
    shutil.copytree(shown.folder, tmp_path, dirs_exist_ok=True)
    desk = Desk(tmp_path)
    desk.ok("release", "d", "1.0.0")
    desk.ok("report", "d", "--release", "1.0.0", "--out", "r.html")
    assert "release 1.0.0" in text(desk, "r.html")
    assert section(text(desk, "r.html"), "take-checks") == section(text(desk), "take-checks")
    assert "no release 2.0.0" in desk.fails(2, "report", "d", "--release", "2.0.0")


def test_matplotlib_that_is_missing_is_named(shown: Desk, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError\n", "utf-8")
    desk = Desk(shown.folder, {"PYTHONPATH": str(tmp_path)})
    said = desk.fails(2, "report", "d", "--out", "none.html")
    assert 'pip install "capture[report]"' in said
    assert not (shown.folder / "none.html").exists()


def test_no_dataset_and_no_room(tmp_path: Path) -> None:
    assert "no dataset" in Desk(tmp_path).fails(2, "report", "nowhere")


def test_matplotlib_comes_late() -> None:
    import subprocess

    code = "import sys, capture.cli, capture.view.report.report; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_check_with_a_limit_in_the_plan_has_it_drawn() -> None:
    limits = CheckLimits()
    used: set[float] = set()
    for check in CHECKS:
        used |= {abs(limit.value) for limit in limits_of(check, limits)}
    for name, value in vars_of(limits).items():
        assert name == "retries" or abs(value) in used, name
    assert limits_of("clock_frames", limits) == []
    fails, warns = limits_of("audio_cv_db", limits)
    assert (fails.value, warns.value, warns.warn) == (-20.0, -30.0, True)
    assert {limit.value for limit in limits_of("drift_ppm", limits)} == {-2.0, 2.0}


def vars_of(limits: CheckLimits) -> dict[str, float]:
    from dataclasses import asdict

    return asdict(limits)


def test_many_points_are_drawn_as_a_band() -> None:
    random = np.random.default_rng(0)
    times = np.arange(50_000.0)
    series = plots.Series("many", times, random.standard_normal(50_000))
    few = plots.over_time([plots.Series("few", times[:5], times[:5])], "h", "dB")
    assert len(plots.over_time([series], "h", "dB")) < 3 * len(few)
    assert plots.over_time([series], "h", "dB") == plots.over_time([series], "h", "dB")


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [-3.0, 5.0], [1e-9, 2e-9]])
def test_a_histogram_counts_every_value(values: list[float]) -> None:
    svg = plots.histogram([("takes", np.array(values))], "dB", [plots.Limit("fails", 0.5)])
    assert svg.startswith("<svg")
    assert "metadata" not in svg


def test_what_people_wrote_stays_text() -> None:
    harm = '"><script>alert(1)</script>'
    table = Table(harm, (harm,), [(harm,)], harm)
    plot = Plot(harm, plots.bars(["a"], [1], "n"), harm)
    found = page.page(harm, [harm], [Section(harm, [harm], [table, plot])])
    assert Outline(found).count("script") == 0


def test_takes_without_a_figure_are_counted_and_not_drawn() -> None:
    takes = Takes(("ratio", "release_s", "release_auto"))
    row = dict.fromkeys(source.TAKES)
    row |= {
        "song_id": "s", "setting_id": "t", "session_id": "u", "num_frames": 10, "attempts": 1,
        "sample_rate_hz": 5, "captured_at": "2026-01-01T00:00:00+00:00", "cv_volts_per_fs": 2.0,
        "gain_db_per_fs": -40.0, "gain_db_at_zero": 0.5, "cv_min_v": 0.0, "cv_max_v": 0.25,
        "cv_mean_v": 0.1, "ratio": 4.0, "release_s": None, "release_auto": True,
        "check_hum_dbfs_verdict": "unverified",
    }  # fmt: skip
    takes.add(row)
    assert (takes.count, takes.audio_s) == (1, 2.0)
    assert takes.verdicts["hum_dbfs"]["unverified"] == 1
    assert "hum_dbfs" not in takes.figures
    assert list(takes.deepest_db["ratio"]["4"]) == [-4.5]
    assert list(takes.mean_db["release"]["auto"]) == [-1.5]


@pytest.mark.parametrize("name", ["report.md", "dataset.md"])
def test_the_commands_of_the_docs_run(shown: Desk, tmp_path: Path, name: str) -> None:
    shutil.copytree(shown.folder / "d", tmp_path / "datasets" / "first-capture")
    docs = Path(__file__).parents[2] / "docs" / name
    blocks = re.findall(r"```console\n(.*?)```", docs.read_text("utf-8"), re.DOTALL)
    commands = re.findall(r"^\$ capture (.*)$", "".join(blocks), re.MULTILINE)
    assert commands
    for command in commands:
        Desk(tmp_path).ok(*command.split())
