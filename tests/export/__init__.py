"""Exports: selection, gain, each layout by its own reader, resuming, damage, the workflow."""
