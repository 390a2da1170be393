"""A dataset in other tools' layouts: one file a layout, and what they share in ``core``."""
