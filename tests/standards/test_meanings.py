"""The code and the docs say the same of every column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.dataset import columns
from capture.dataset.standards.meaning_texts import CHECKS, TABLES
from capture.dataset.standards.meanings import KEYS, TITLES, meaning

DOCS = Path(__file__).parents[2] / "docs"
KNOWN = {
    "takes": columns.TAKE_COLUMNS | columns.FILE_COLUMNS,
    "songs": columns.SONG_COLUMNS,
    "calibrations": columns.CALIBRATION_COLUMNS,
    "laws": columns.LAW_COLUMNS,
    "law_steps": columns.LAW_STEP_COLUMNS,
    "enrolments": columns.ENROLMENT_COLUMNS,
    "fingerprints": columns.FINGERPRINT_COLUMNS,
    "anchors": columns.ANCHOR_COLUMNS,
    "references": columns.REFERENCE_COLUMNS,
    "visits": columns.VISIT_COLUMNS,
    "sessions": columns.SESSION_COLUMNS,
    "releases": columns.RELEASE_COLUMNS,
    "settings": {"setting_id": "string", "setting_split": "string", "takes": "int64"},
}
BY_CONTROL = re.compile(r"one per control|each of these|a column per control|NAME")


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The cells of a table of the docs, by each column that its first cell names."""
    text = (DOCS / page).read_text("utf-8").split(f"\n{heading}\n", 1)[1]
    found: dict[str, list[str]] = {}
    for line in re.split(r"\n#", text)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and not BY_CONTROL.search(cells[0]):
            found |= dict.fromkeys(re.findall("`([^`]+)`", cells[0]), cells)
    return found


@pytest.mark.parametrize("table", TITLES)
def test_docs_and_code_say_the_same_of_a_table(table: str) -> None:
    docs = {name: cells[-1] for name, cells in rows("dataset.md", f"### {table}").items()}
    code = {name: text for names, text in TABLES[table].items() for name in names.split()}
    assert docs == code


def test_docs_and_code_say_the_same_of_the_checks() -> None:
    docs = {name: cells[1] for name, cells in rows("measurements.md", "## The take checks").items()}
    code = {name: text for names, text in CHECKS.items() for name in names.split()}
    assert docs == code


@pytest.mark.parametrize("table", TITLES)
def test_every_column_has_a_meaning(table: str) -> None:
    assert [name for name in KNOWN[table] if not meaning(table, name)] == []
    assert set(KEYS.get(table, ())) <= set(KNOWN[table])


@pytest.mark.parametrize("check", columns.CHECKS)
def test_every_check_has_a_meaning(check: str) -> None:
    assert meaning("takes", f"check_{check}")
    assert meaning("takes", f"check_{check}_verdict")


def test_controls_are_labels() -> None:
    assert "label" in (meaning("takes", "threshold_db") or "")
    assert "auto" in (meaning("settings", "release_auto") or "")
    assert "driver" in (meaning("visits", "release_auto_read_back") or "")


def test_what_nobody_explained_has_no_meaning() -> None:
    assert meaning("takes", "check_of_nothing") is None
    assert meaning("songs", "new_column") is None
    assert meaning("fingerprints", "nothing_uncertainty") is None
