"""What to record: the plan as written, its expansion into takes, the order of the settings."""
