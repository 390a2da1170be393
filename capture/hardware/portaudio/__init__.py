"""The PortAudio driver: the only package that imports sounddevice."""
