"""Pure measurement on arrays. No devices, no files."""
