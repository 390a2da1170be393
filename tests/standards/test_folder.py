"""What is written into the folder, and what is found when it is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.dataset import standards
from capture.dataset.snapshot import snapshot
from capture.dataset.standards import bag, card
from capture.errors import BadInput
from tests.standards.conftest import Made, damage, describe, payload

WRITTEN = (
    "README.md", "croissant.json", "datapackage.json", "bagit.txt", "bag-info.txt",
    "manifest-sha256.txt", "tagmanifest-sha256.txt", "metadata_train.parquet",
    "metadata_test.parquet", "metadata_unseen_song.parquet", "metadata_unseen_setting.parquet",
    "metadata_unseen_both.parquet",
)  # fmt: skip
Copy = Callable[[], Path]


def test_both_releases_are_whole(made: Made) -> None:
    for root in (made.first, made.second):
        assert damage(root) == []
        assert standards.faults(snapshot(root)) == []
        assert {path.name for path in root.glob("*.*")} >= set(WRITTEN)


def test_what_says_the_same_is_not_written_again(copy: Copy) -> None:
    root = copy()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    describe(root)
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_made_anew_it_is_the_same(copy: Copy) -> None:
    root = copy()
    before = {name: (root / name).read_bytes() for name in WRITTEN}
    for name in WRITTEN:
        (root / name).unlink()
    describe(root)
    assert before == {name: (root / name).read_bytes() for name in WRITTEN}


def test_no_path_leads_out_of_the_folder(made: Made) -> None:
    package = json.loads((made.second / "datapackage.json").read_text("utf-8"))
    croissant = json.loads((made.second / "croissant.json").read_text("utf-8"))
    paths = [one["path"] for one in package["resources"]]
    paths += [one["contentUrl"] for one in croissant["distribution"] if "contentUrl" in one]
    assert all(path.startswith("releases/1.1.0/") for path in paths)
    assert all((made.second / path).is_file() for path in paths)
    texts = standards.expected(made.second, snapshot(made.second), payload(made.second))
    assert not [name for name, text in texts.items() if "../" in text]


def test_croissant_has_what_its_validator_does_not_ask_for(made: Made) -> None:
    found = json.loads((made.second / "croissant.json").read_text("utf-8"))
    assert found["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert found["url"] == "https://example.org/small"
    assert [one["name"] for one in found["creator"]] == ["A. Person", "Another Person"]
    assert found["description"] == "A second of each of two songs."
    assert found["version"] == "1.1.0"
    released = json.loads((made.second / "releases/1.1.0/release.json").read_text("utf-8"))
    assert found["datePublished"] == found["dateModified"] == released["released_at"]
    assert found["dateCreated"] == snapshot(made.second).identity["created_at"]
    files = [one for one in found["distribution"] if one["@type"] == "cr:FileObject"]
    hashes = bag.tags_there(made.second) | {
        path.name: standards.files.sha256(path)
        for path in (made.second / "releases" / "1.1.0").glob("*.parquet")
    }
    assert all(one["sha256"] == hashes[one["name"]] for one in files)
    rai = {key for key in found if key.startswith("rai:")}
    assert {"rai:dataCollection", "rai:dataLimitations", "rai:dataCollectionTimeframe"} <= rai


def test_the_card_tells_what_is_known(made: Made) -> None:
    text = (made.second / "README.md").read_text("utf-8")
    for said in (
        "# A small trial", "CC-BY-4.0", "A. Person, A small trial, 2026.", "1.1.0",
        "no hardware: a simulation", "sent +5 dB louder", "| `train` | 4 |", "| `test` | 6 |",
        "at auto in 2 settings", "no sound proves the setting of 10 takes",
    ):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (None, {}),
        ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("EUPL-1.2", {"license": "other", "license_name": "EUPL-1.2"}),
        (
            "https://example.org/terms",
            {"license": "other", "license_name": "https://example.org/terms",
             "license_link": "https://example.org/terms"},
        ),
    ],
)  # fmt: skip
def test_the_hub_has_names_of_its_own_for_licences(
    stated: str | None, said: dict[str, str]
) -> None:
    assert card._license(stated) == said


def test_what_nobody_stated_is_said_to_be_not_stated(copy: Copy) -> None:
    root = copy()
    plan = root / "releases" / "1.1.0" / "plan.yaml"
    plan.write_text(plan.read_text("utf-8").split("about:")[0], "utf-8")
    faults = standards.faults(snapshot(root))
    assert len(faults) == 6
    for key in ("license", "creators", "url", "description"):
        assert any(f"about.{key} is not stated" in fault for fault in faults)
    describe(root)
    text = (root / "README.md").read_text("utf-8")
    assert "Licence: not stated." in text
    assert "- creators: not stated" in text
    found = json.loads((root / "croissant.json").read_text("utf-8"))
    assert not {"license", "creator", "url", "citeAs"} & set(found)


def test_a_licence_in_words_is_a_fault(copy: Copy) -> None:
    root = copy()
    plan = root / "releases" / "1.1.0" / "plan.yaml"
    plan.write_text(plan.read_text("utf-8").replace("CC-BY-4.0", "ask me first"), "utf-8")
    (fault,) = standards.faults(snapshot(root))
    assert "'ask me first'" in fault
    assert "SPDX" in fault


def test_what_is_in_no_release_is_not_described(copy: Copy) -> None:
    root = copy()
    shutil.rmtree(root / "releases")
    with pytest.raises(BadInput, match="has no release yet"):
        describe(root)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_flipped_byte_is_found(copy: Copy, name: str) -> None:
    path = copy() / name
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    assert name in {one.file for one in damage(path.parent)}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_is_gone_is_found(copy: Copy, name: str) -> None:
    path = copy() / name
    path.unlink()
    found = [one for one in damage(path.parent) if one.file == name]
    assert [one.kind for one in found] == ["missing"]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_link_in_its_place_is_found_and_replaced(copy: Copy, tmp_path: Path, name: str) -> None:
    path = copy() / name
    path.symlink_to(path.rename(tmp_path / name))
    assert name in {one.file for one in damage(path.parent)}
    describe(path.parent)
    assert damage(path.parent) == []
    assert not path.is_symlink()


def test_a_split_too_many_is_found_and_removed(copy: Copy) -> None:
    root = copy()
    shutil.copy(root / "metadata_train.parquet", root / "metadata_validation.parquet")
    assert {one.file: one.kind for one in damage(root)}["metadata_validation.parquet"] == "extra"
    describe(root)
    assert damage(root) == []


def test_two_takes_that_swapped_names_are_found(copy: Copy) -> None:
    root = copy()
    path = root / "manifest-sha256.txt"
    lines = path.read_text("utf-8").splitlines()
    (one, first), (two, second) = (line.split("  ") for line in lines[-2:])
    path.write_text("\n".join([*lines[:-2], f"{two}  {first}", f"{one}  {second}"]) + "\n")
    assert [one.file for one in damage(root)] == ["manifest-sha256.txt"]


def test_a_bag_grows_with_the_sessions(copy: Copy) -> None:
    root = copy()
    before = (root / "manifest-sha256.txt").read_text("utf-8")
    more = [*payload(root), ("data/takes/new/new.out.flac", "0" * 64, 1000)]
    bag.write(root, more)
    after = (root / "manifest-sha256.txt").read_text("utf-8")
    added = set(after.splitlines()) - set(before.splitlines())
    assert added == {"0" * 64 + "  data/takes/new/new.out.flac"}
    assert f".{len(more)}\n" in (root / "bag-info.txt").read_text("utf-8")
    bag.write(root, payload(root))
    assert damage(root) == []
