"""The metrics against auraloss and torch, on signals that anybody can make again."""

from __future__ import annotations

import auraloss
import numpy as np
import pytest
import torch

from capture.signal import metrics

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

FRAMES = 6000
CASES = ("louder", "noisy", "clipped", "nearly silent", "one channel silent")


def signals(case: str) -> tuple[np.ndarray, np.ndarray]:
    """What was recorded and what a model says: (frames, 2)."""
    random = np.random.default_rng(CASES.index(case))
    swell = np.repeat(random.uniform(0.01, 0.5, FRAMES // 500), 500)[:, None]
    y = swell * random.uniform(-1, 1, (FRAMES, 2))
    y[:, 1] += 0.1 * np.sin(np.arange(FRAMES) / 20)
    match case:
        case "louder":
            return y, 1.25 * y
        case "noisy":
            return y, y + 0.01 * random.standard_normal(y.shape)
        case "clipped":
            return y, np.clip(y, -0.2, 0.2)
        case "nearly silent":
            return 1e-5 * y, 2e-5 * y
        case _:
            return y * [1.0, 0.0], y * [0.9, 0.01]


def auraloss_figures(case: str) -> dict[str, float]:
    """By auraloss and torch. Their losses take (batch, channels, frames)."""
    y, y_hat = (torch.from_numpy(np.ascontiguousarray(x.T))[None] for x in signals(case))
    spectral = auraloss.freq.MultiResolutionSTFTLoss()
    for part in spectral.stft_losses:
        part.window = torch.hann_window(part.win_length, dtype=torch.float64)
    # Both channels as one long one: auraloss takes each channel's ratio, capture that of all.
    long = [x.reshape(1, 1, -1) for x in (y_hat, y)]
    return {
        "l1": float(torch.nn.L1Loss()(y_hat, y)),
        "esr": float(auraloss.time.ESRLoss(eps=0)(*long)),
        "multi_resolution_stft": float(spectral(y_hat, y)),
    }


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_of_auraloss(case: str) -> None:
    y, y_hat = signals(case)
    theirs = auraloss_figures(case)
    assert metrics.l1(y, y_hat) == pytest.approx(theirs["l1"], rel=1e-9)
    assert metrics.esr(y, y_hat) == pytest.approx(theirs["esr"], rel=1e-9)
    spectral = metrics.multi_resolution_stft(y, y_hat)
    assert spectral == pytest.approx(theirs["multi_resolution_stft"], rel=1e-9)
