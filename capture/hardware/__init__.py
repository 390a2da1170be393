"""The rig: ports (what the runner sees), profile (facts), drivers (behaviour), build (wiring)."""
