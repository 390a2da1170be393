"""A rig in software. Shares no code with the estimators that it is there to test."""
