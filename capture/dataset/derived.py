"""What is made from the ledger, never read back as truth: manifests, and the standards' files."""

from __future__ import annotations

from collections.abc import Sequence

from capture.dataset import manifest, standards
from capture.dataset.folder import Folder
from capture.dataset.snapshot import snapshot
from capture.dataset.standards import bag
from capture.model import Control
from capture.run.ledger import Ledger


def write(folder: Folder, ledger: Ledger, controls: Sequence[Control]) -> None:
    """Brings all of it up to date; what says the same already stays untouched.

    Raises StorageRefused, DamagedData.
    """
    manifest.write(folder.root, manifest.of_ledger(ledger, controls))
    if ledger.releases():
        payload = bag.payload(folder.root, ledger)
        standards.write(folder.root, snapshot(folder.root), payload)
