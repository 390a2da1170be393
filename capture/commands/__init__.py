"""The commands, a file for each group. No logic: each puts the parts together."""
