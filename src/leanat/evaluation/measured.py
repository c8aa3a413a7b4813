"""What a measure of a suite finds in a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Measured(NamedTuple):
    """A number is None where the data cannot tell; the arrays are what figures draw."""

    numbers: dict[str, float | None]
    arrays: dict[str, np.ndarray]
