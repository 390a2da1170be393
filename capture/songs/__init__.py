"""Songs: dry audio found, resampled, normalised and hashed once, never changed again."""
