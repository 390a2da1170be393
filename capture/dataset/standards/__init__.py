"""One folder, three standards, no copies: a dataset as others know it.

README.md and ``metadata_SPLIT.parquet`` (Hugging Face), croissant.json (Croissant 1.1),
datapackage.json (Frictionless), and the files of a BagIt bag. All stand at the dataset's root,
describe the newest release, and are made of its tables and documents alone: made again, they are
the same. docs/standards.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.claims import Damage
from capture.dataset.snapshot import Snapshot
from capture.dataset.standards import bag, card, croissant, datapackage, huggingface
from capture.dataset.standards.bag import Payload
from capture.dataset.standards.facts import Facts, facts
from capture.dataset.standards.meanings import meaning

WANTED = {
    "license": "what others may do with it; Croissant requires it",
    "creators": "whose it is; Croissant requires it",
    "url": "the page that it is found on; Croissant requires it",
    "description": "what it is, in your words; Croissant requires one",
    "citation": "how to cite it",
    "keywords": "what it is found by",
}


def write(root: Path, found: Snapshot, payload: Payload) -> None:
    """Writes all of them durably; those that say the same stay untouched.

    ``payload``: what is in ``data/`` (``bag.payload``). Raises BadInput where ``found`` is no
    release, DamagedData, StorageRefused.
    """
    known = facts(found)
    huggingface.write(root, known.takes)
    for name, text in _texts(known).items():
        if not bag.says(root / name, text):
            files.write_text(root / name, text)
    bag.write(root, payload)


def expected(root: Path, found: Snapshot, payload: Payload) -> dict[str, str]:
    """The text that each of them must have, by name; not those that are tables.

    Raises BadInput where ``found`` is no release, DamagedData.
    """
    known = facts(found)
    texts = _texts(known)
    own = {name: bag.sha256_of(text) for name, text in texts.items()}
    return texts | bag.texts(root, payload, bag.tags_there(root) | own)


def damage(root: Path, found: Snapshot, payload: Payload) -> Iterator[Damage]:
    """Each of them that is not as ``write`` makes it, tables included. Raises as ``expected``."""
    for name, text in expected(root, found, payload).items():
        if not bag.is_own(root / name):
            yield Damage("missing", name, "is not there, or is a link")
        elif not bag.says(root / name, text):
            yield Damage("altered", name, "does not say what the newest release says")
    takes, there, listed = found.table("takes"), bag.tags_there(root), bag.tags_listed(root)
    for name, same in huggingface.same(root, takes):
        if name not in there:
            yield Damage("missing", name, "is not there, or is a link")
        elif not same:
            yield Damage("altered", name, "does not hold the rows of its split")
        elif listed.get(name) != there[name]:
            yield Damage("disagrees", name, f"its SHA-256 is not the one in {bag.TAG_MANIFEST}")
    for name in huggingface.strays(root, takes):
        yield Damage("extra", name, "the newest release has no such split")


def faults(found: Snapshot) -> list[str]:
    """What a stranger would want to know and nobody has said: a sentence each.

    No reader of Croissant checks these. Raises BadInput where ``found`` is no release, DamagedData.
    """
    known = facts(found)
    stated = known.about
    said = [
        f"about.{key} is not stated in the plan: {why}"
        for key, why in WANTED.items()
        if not getattr(stated, key)
    ]
    if stated.license and not _is_license(stated.license):
        said.append(
            f"about.license is {stated.license!r}: give an SPDX identifier, such as CC-BY-4.0, or "
            "an address"
        )
    return said + [
        f"{table}.{column}: docs/dataset.md does not say what it means"
        for table in known.tables
        for column in pyarrow().parquet.read_schema(found.folder / f"{table}.parquet").names
        if meaning(table, column) is None
    ]


def _is_license(text: str) -> bool:
    return text.startswith(("https://", "http://")) or not set(text) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-+"
    )


def _texts(known: Facts) -> dict[str, str]:
    return {
        card.NAME: card.text(known),
        croissant.NAME: croissant.text(known),
        datapackage.NAME: datapackage.text(known),
    }
