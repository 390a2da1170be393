"""The metrics against auraloss and torch themselves, where they are installed.

``pip install torch auraloss && pytest tests/signal/test_auraloss.py``; elsewhere it is skipped, and
``test_metrics.py`` compares with the figures that they gave.
"""

from __future__ import annotations

import pytest

from capture.signal import metrics
from tests.signal.auraloss_figures import CASES, FIGURES, auraloss_figures, signals

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

pytest.importorskip("torch")
pytest.importorskip("auraloss")


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_of_auraloss(case: str) -> None:
    y, y_hat = signals(case)
    theirs = auraloss_figures(case)
    assert theirs == pytest.approx(FIGURES[case], rel=1e-9)
    assert metrics.l1(y, y_hat) == pytest.approx(theirs["l1"], rel=1e-9)
    assert metrics.esr(y, y_hat) == pytest.approx(theirs["esr"], rel=1e-9)
    spectral = metrics.multi_resolution_stft(y, y_hat)
    assert spectral == pytest.approx(theirs["multi_resolution_stft"], rel=1e-9)
