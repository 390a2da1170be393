"""Controls a hardware capture rig and builds datasets for modelling dynamic range compressors."""
