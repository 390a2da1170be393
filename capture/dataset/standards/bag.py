"""The folder as a BagIt bag: ``data/`` is its payload, all else are tag files (RFC 8493).

``manifest-sha256.txt`` lists every file in ``data/``: the songs, and the takes of every release
and of none yet. ``sha256sum -c manifest-sha256.txt`` and ``bagit.py --validate`` read it. The
ledger, ``manifest/``, ``releases/``, ``calibration/`` and ``evidence/`` are tag files (section
2.2.4), which no tag manifest has to list: sessions change them. ``tagmanifest-sha256.txt`` lists
the files that other programs open: the bag's own, and those of ``TAGS``.

A bag is what is there, not what a release has: it is brought up to date by every session that adds
takes (``write``), and is not valid while one is under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from capture.dataset import files
from capture.dataset.claims import Claim, bytes_of, claims_of
from capture.dataset.folder import Folder
from capture.run.ledger import Ledger

Payload = Iterable[tuple[str, str, int]]
"""Of each file in ``data/``: its path from the dataset's folder, SHA-256 (hex), bytes."""

DECLARATION, INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
TAGS = ("README.md", "croissant.json", "datapackage.json", "metadata_*.parquet")


def payload(root: Path, ledger: Ledger) -> list[tuple[str, str, int]]:
    """What the ledger says of ``data/``, rejected takes and damaged superseded ones left out."""
    return payload_of(root, claims_of(ledger))


def payload_of(root: Path, claims: Iterable[Claim]) -> list[tuple[str, str, int]]:
    """What is claimed of ``data/``."""
    return [(c.file, c.sha256, bytes_of(root, c)) for c in claims if c.file.startswith("data/")]


def texts(root: Path, payload: Payload, tags: Mapping[str, str]) -> dict[str, str]:
    """The bag's own files. ``tags``: the SHA-256 of the other files that the tag manifest lists.

    Raises DamagedData where dataset.json cannot be read.
    """
    listed = sorted(payload)
    identity = Folder(root).identity()
    size = sum(count for _, _, count in listed)
    info = {
        "External-Identifier": identity["dataset_id"],
        "Internal-Sender-Identifier": identity["name"],
        "Bag-Software-Agent": identity["created_with"],
        "Payload-Oxum": f"{size}.{len(listed)}",
    }
    own = {
        DECLARATION: "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        INFO: "".join(f"{key}: {value}\n" for key, value in info.items()),
        MANIFEST: "".join(f"{sha256}  {path}\n" for path, sha256, _ in listed),
    }
    hashes = dict(tags) | {name: sha256_of(text) for name, text in own.items()}
    own[TAG_MANIFEST] = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return own


def write(root: Path, payload: Payload) -> None:
    """Brings the bag's files up to date, durably; those that say the same stay untouched.

    The tag manifest comes last: whoever finds a bag torn by a crash finds it invalid.
    Raises StorageRefused, DamagedData.
    """
    for name, text in texts(root, payload, tags_there(root)).items():
        path = root / name
        if not says(path, text):
            files.write_text(path, text)


def tags_there(root: Path) -> dict[str, str]:
    """The SHA-256 of each file of ``TAGS`` that is in the folder."""
    found = (path for pattern in TAGS for path in root.glob(pattern) if is_own(path))
    return {path.name: files.sha256(path) for path in found}


def tags_listed(root: Path) -> dict[str, str]:
    """What the tag manifest says, as far as it can be read."""
    path = root / TAG_MANIFEST
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    lines = (line.partition("  ") for line in text.splitlines())
    return {name: sha256 for sha256, _, name in lines}


def is_own(path: Path) -> bool:
    """Whether a file is there, and no link, which could lead out of the folder."""
    return path.is_file() and not path.is_symlink()


def says(path: Path, text: str) -> bool:
    """Whether the file is there and holds just this text."""
    return is_own(path) and path.read_bytes() == text.encode()


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
