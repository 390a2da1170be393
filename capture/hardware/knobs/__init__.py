"""Knobs that are really turned, by whatever turns them: each package a driver of the port Knobs."""
