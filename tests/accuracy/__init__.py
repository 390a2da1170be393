"""How well each estimator measures, on the simulated rig: the tables of docs/accuracy.md."""
