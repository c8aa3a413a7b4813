"""Classes and functions for the papers' ``experiments.py``, ``scales.py`` and ``claims.py``. Imports no torch."""
