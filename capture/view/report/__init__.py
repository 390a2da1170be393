"""The report: one page with plots of everything that a dataset says of itself.

``source`` reads it, ``takes`` adds up its takes row by row, ``rack`` and ``recorded`` say what is
shown, ``plots`` draws, ``page`` writes. No verdict is made here: they are those of the rows.
"""
