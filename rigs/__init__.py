"""Rig profiles: YAML files, packaged so that they are found by name."""
