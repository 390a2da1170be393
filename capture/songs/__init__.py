"""Dry audio: found, resampled, normalised and hashed once."""
