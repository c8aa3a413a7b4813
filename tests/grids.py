"""The plan of the papers at a scale: resolved once in a process of tests, since it takes seconds."""

import copy
from functools import cache
from pathlib import Path

from leanat.plan import structure

CONFIG = Path(__file__).parents[1] / "config"
_resolved = cache(lambda scale: structure.load(CONFIG, {"scale": scale}))


def grid_of(scale="demo"):
    """A grid of its own for who asks: runs that it is asked for besides are not in the others."""
    own = copy.copy(_resolved(scale))
    for part in ("runs", "evaluations", "items", "_asked"):
        setattr(own, part, dict(getattr(own, part)))
    return own
