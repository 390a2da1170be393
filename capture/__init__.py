"""Controls a hardware capture rig and builds datasets for modelling dynamic range compressors."""

__version__ = "0.1.0"
