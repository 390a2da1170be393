"""Markers: a short quiet sweep before and after each song; both must be as late as each other.

A recording is [marker][gap][song][gap][marker][tail]. A frame that is lost or doubled between the
markers moves the second one against the first. What is lost and made up for in between, they do
not show; the pilot and the lag track do.

Sweep and method are those of ``delay``: the matched filter. What is searched holds no music: the
gaps on both sides of a song are longer than what is handed over beyond the marker, shifted by as
much again. 0.08 s at -40 dBFS hold the energy for 0.004 frame in noise of -60 dBFS behind a return
that loses 5 dB; half of that length would do for 0.0055.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture.signal import delay
from capture.signal.delay import Signal

ALGORITHM_VERSION = "marker-2"
MARKER_S = 0.08
PEAK_DBFS = -40.0
FADE_S = 0.002
GAP_S = 0.02
SEARCH_FRAMES = 256
"""What is handed over before and after the marker's place; a shift must be smaller than this."""
PEAK_TO_RMS = 12.0
"""Noise and music stay below it; a marker in noise of -60 dBFS shows 150 and more."""


def marker(sample_rate_hz: int) -> Signal:
    """The marker, shape (frames, 2), full scale 1: the same sweep on both channels.

    100 Hz to 0.42 of the rate in 0.08 s, peak -40 dBFS, from silence to silence.
    """
    sweep = delay.sweep(sample_rate_hz, MARKER_S, PEAK_DBFS, FADE_S)
    return np.stack([sweep, sweep], axis=1)


def gap_frames(sample_rate_hz: int) -> int:
    """The silence between a marker and the song, on either side: 20 ms, at least 1024 frames."""
    return max(round(GAP_S * sample_rate_hz), 4 * SEARCH_FRAMES)


def from_marker(sent: Signal, received: Signal, sample_rate_hz: int) -> delay.Delay:
    """How much later than expected one channel of the marker came back; negative is earlier.

    ``sent``: that channel of the marker, (frames,). ``received``: what came back,
    (SEARCH_FRAMES + frames + SEARCH_FRAMES,), cut so that a marker which is as late as expected
    begins at its frame ``SEARCH_FRAMES``. Any scale.

    Raises:
        MeasurementFailed: nothing came back, it does not resemble the marker, or it is
            ``SEARCH_FRAMES`` or more from where it should be.
        ValueError: ``received`` has another length.
    """
    if len(received) != len(sent) + 2 * SEARCH_FRAMES:
        raise ValueError(f"{len(received)} frames for a marker of {len(sent)}")
    found = delay.locate(sent, received, sample_rate_hz, 0, 2 * SEARCH_FRAMES, PEAK_TO_RMS)
    return replace(found, frames=found.frames - SEARCH_FRAMES)
