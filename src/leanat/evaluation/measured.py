"""The result of a measure: numbers and arrays of one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import nn

from leanat.core.nouns import Data


class Measured(NamedTuple):
    """A number is None if it cannot be computed from the data; the arrays are for figures."""

    numbers: dict[str, float | None]
    arrays: dict[str, np.ndarray]


# (network, the data's ``part``, seed). A measure that has ``reads_layers`` asks the network for its features, head or body.
Measure = Callable[[nn.Module, Data, int], Measured]
