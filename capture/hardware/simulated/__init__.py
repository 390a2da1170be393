"""A rig in software. Shares no code with the estimators that it is there to test."""

from capture.hardware.simulated.chain import Truth
from capture.hardware.simulated.rig import open_simulated, render

__all__ = ["Truth", "open_simulated", "render"]
