"""The take checks: does this recording look like this song through a compressor?

``TakeMeter`` is fed a take block by block: the song x as it was sent, the output y, the control
voltage v, cut so that frame 0 of all three belongs together. Each part measures as the blocks go by
and gives its figures, each with a limit and a verdict, at the end:

* ``samples``     codes alone: clipping, dead links, blocks that come twice;
* ``likeness``    the returns against the song: level, polarity, swap, coherence, lag;
* ``timing``      steps and drift of the lag within the take;
* ``noise``       what is not the song's: offset, hum, noise floor;
* ``agreement``   audio against CV: what they leave of the output, and the delay of the CV;
* ``cv``          the CV against the audio's gain: law, polarity, coupling, clipping, rest.

``path`` and ``prediction`` are what the last two are computed from.
"""

from __future__ import annotations

from capture.signal.checks.meter import Peaks, TakeLevels, TakeMeter

ALGORITHM_VERSION = "checks-4"

__all__ = ["ALGORITHM_VERSION", "Peaks", "TakeLevels", "TakeMeter"]
