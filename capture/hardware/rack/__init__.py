"""The simulated rack as a JACK client in a process of its own: ``capture rack``."""
