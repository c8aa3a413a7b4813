"""What the papers' ``experiments.py``, ``scales.py`` and ``claims.py`` are written with; imports no torch."""
