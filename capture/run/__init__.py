"""Carrying a plan out: the ledger of what is done, and the loop that does it."""
