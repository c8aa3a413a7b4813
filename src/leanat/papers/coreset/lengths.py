"""The number of epochs of a coreset run, and the epochs at which it lowers its learning rate. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple


class Phases(NamedTuple):
    """Numbers of epochs of a run: ``full`` on all examples, then ``idle`` without training, then ``coreset`` on the coreset."""

    full: int
    idle: int
    coreset: int


def phases_of(epochs: int, kappa: float, fraction: float, idle: bool = False) -> Phases:
    """The phases of a run of ``epochs`` epochs, for a coreset of ``fraction`` = c of the examples.

    A coreset run must cost c E, where full training takes E epochs. The last (1 - kappa) E epochs are on the coreset and cost
    c (1 - kappa) E. The rest allows kappa c E epochs on all examples before them. The run therefore lasts
    E (1 - kappa + kappa c) epochs (``epochs_for``), which is ``epochs``. With the ``idle`` gap ``epochs`` is E: see WarmStart.
    """
    if idle:
        until = int(kappa * epochs)
        full = round(fraction * until)
        return Phases(full, until - full, epochs - until)
    share = kappa * fraction / (1 - kappa + kappa * fraction)
    return Phases(full := round(share * epochs), 0, epochs - full)


def epochs_for(epochs: int, kappa: float, fraction: float) -> int:
    """The epochs of a coreset run without idle gap that costs ``fraction`` times a full training of ``epochs``."""
    return round(epochs * (1 - kappa + kappa * fraction))


def drops_for(drops: list[int], epochs: int, kappa: float, fraction: float) -> list[int]:
    """The epochs after which a coreset run lowers its learning rate, if full training of ``epochs`` epochs does after ``drops``.

    The schedule is that of full training ("kept the same", section 4.1) without the epochs that the authors' code leaves idle.
    Each drop comes after as many coreset epochs as in that code, and a drop in the idle gap comes with the first coreset epoch.
    """
    run = epochs_for(epochs, kappa, fraction)
    full, gap = phases_of(run, kappa, fraction).full, epochs - run
    return [max(min(drop, full), drop - gap) for drop in drops]
