"""Preflight: what `capture check` finds before the first take."""
