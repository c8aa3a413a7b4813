"""When a selector chooses and how much it keeps, known before anything is trained; costs are computed from this."""

from __future__ import annotations

from typing import NamedTuple

from leanat.core.nouns import Selector


class Planned(NamedTuple):
    """One epoch: the share of the examples that it trains on, and whether a choice that looks at the network comes before."""

    share: float
    selects: bool


EVERYTHING = Planned(1.0, False)


def planned(selector: Selector, epoch: int, epochs: int, examples: int) -> Planned:
    """What ``selector`` does at ``epoch`` of ``epochs`` with ``examples`` training examples, by its own method ``planned``.

    A selector without such a method is assumed to select at every epoch and to keep its ``fraction``, or everything if it has
    none.
    """
    own = getattr(selector, "planned", None)
    return own(epoch, epochs, examples) if own else Planned(getattr(selector, "fraction", None) or 1.0, True)


def innermost(selector: Selector) -> Selector:
    """The selector that does the choosing, inside any warm starts and periods."""
    while hasattr(selector, "inner"):
        selector = selector.inner
    return selector
