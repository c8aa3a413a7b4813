"""When a selector chooses, and how much it keeps, before anything is trained: what a cost is reckoned from."""

from __future__ import annotations

from typing import NamedTuple

from leanat.core.nouns import Selector


class Planned(NamedTuple):
    """One epoch: the share of the examples that it trains on, and whether a choice that looks at the network comes before."""

    share: float
    selects: bool


EVERYTHING = Planned(1.0, False)


def planned(selector: Selector, epoch: int, epochs: int, examples: int) -> Planned:
    """What ``selector`` does at ``epoch`` of ``epochs``, with so many training examples, as its own ``planned`` says.

    One without such a method chooses anew whenever it is asked, and keeps its ``fraction``, or all that has none.
    """
    own = getattr(selector, "planned", None)
    return own(epoch, epochs, examples) if own else Planned(getattr(selector, "fraction", None) or 1.0, True)


def innermost(selector: Selector) -> Selector:
    """What chooses, inside of warm starts and periods."""
    while hasattr(selector, "inner"):
        selector = selector.inner
    return selector
