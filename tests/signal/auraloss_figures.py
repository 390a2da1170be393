"""What auraloss and torch say of signals that anybody can make again.

    python -m tests.signal.auraloss_figures

prints ``FIGURES`` anew where torch and auraloss are installed (``pip install torch auraloss``: from
PyPI torch brings gigabytes of CUDA along, so CI has neither). ``test_auraloss.py`` compares with
them where they are, ``test_metrics.py`` with the figures below everywhere.
"""

from __future__ import annotations

import numpy as np

FRAMES = 6000
CASES = ("louder", "noisy", "clipped", "nearly silent", "one channel silent")
MADE_WITH = "torch 2.13.0 (CPU), auraloss 0.4.0, float64, 2026-11-22"
FIGURES: dict[str, dict[str, float]] = {
    "louder": {
        "l1": 0.03595920963799031,
        "esr": 0.0625,
        "multi_resolution_stft": 0.47314152502882534,
    },
    "noisy": {
        "l1": 0.007902492727949162,
        "esr": 0.002942735474694361,
        "multi_resolution_stft": 0.1206166043450438,
    },
    "clipped": {
        "l1": 0.01444464052029283,
        "esr": 0.08159081007126616,
        "multi_resolution_stft": 0.43681449129713495,
    },
    "nearly silent": {
        "l1": 1.10381120843213e-06,
        "esr": 1.0,
        "multi_resolution_stft": 0.08663263835064973,
    },
    "one channel silent": {
        "l1": 0.008513750505917777,
        "esr": 0.010112181360205665,
        "multi_resolution_stft": 2.7616310352278326,
    },
}


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
    import auraloss
    import torch

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


if __name__ == "__main__":
    for name in CASES:
        print(f"    {name!r}: {auraloss_figures(name)},")
