"""What the effects of a paper say about one another's spread over seeds: a moderated variance.

Three seeds say little about a variance. Smyth (2004, Statistical Applications in Genetics and Molecular Biology 3(1), article 3)
lets each variance borrow from the others: the true ones are taken as draws from a scaled inverse chi-squared distribution,
whose two parameters are estimated from all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import digamma, fdtrc, polygamma

LEAST_EFFECTS = 20  # fewer say too little about how variances differ: simulated, the error then leaves its bound
IMPROBABLE = 0.05  # probability of a variance that large, below which it borrows nothing
MOST_DF = 6.0  # cap of what is borrowed, where variances seem equal


class Prior(NamedTuple):
    """The usual variance of a paper's effects, and as how many degrees of freedom it counts; 0: nothing is borrowed."""

    df: float
    variance: float

    def posterior(self, variance: float, df: int) -> tuple[float, float]:
        """The moderated variance of an effect with a sample variance of ``df`` degrees of freedom, and the df it borrows.

        A variance that is improbably large beside the others, of an effect with a collapsed seed above all, borrows nothing: it
        is no draw from theirs (Phipson et al. 2016, Annals of Applied Statistics 10(2)).
        """
        if not self.df or fdtrc(df, self.df, variance / self.variance) < IMPROBABLE:
            return variance, 0.0
        return (self.df * self.variance + df * variance) / (self.df + df), self.df


NO_PRIOR = Prior(0.0, 0.0)


class Priors(NamedTuple):
    """Those of a paper: of accuracies, which have an error over test images, and of other numbers; each kind has its own."""

    accuracies: Prior = NO_PRIOR
    others: Prior = NO_PRIOR

    def of(self, error: float) -> Prior:
        """That of an effect with this error over test images; 0 for numbers that are no accuracies."""
        return self.accuracies if error else self.others


NO_PRIORS = Priors()


def prior(variances: Sequence[float], df: int) -> Prior:
    """The prior of effects whose sample variances have ``df`` degrees of freedom each, by moments of their logarithms.

    Zeros, of effects that no seed changes, count as a ten thousandth of the median. With fewer than ``LEAST_EFFECTS``
    nothing is borrowed.
    """
    positive = sorted(v for v in variances if v > 0)
    if len(variances) < LEAST_EFFECTS or not positive:
        return NO_PRIOR
    least = 1e-4 * positive[len(positive) // 2]
    logs = [math.log(max(v, least)) - digamma(df / 2) + math.log(df / 2) for v in variances]
    mean = math.fsum(logs) / len(logs)
    excess = math.fsum((x - mean) ** 2 for x in logs) / (len(logs) - 1) - float(polygamma(1, df / 2))
    if excess < 1e-4:  # they differ no more than chance would have it: one variance
        return Prior(MOST_DF, math.exp(mean))
    prior_df = 2 * _inverse_trigamma(excess)
    return Prior(min(MOST_DF, prior_df), math.exp(mean + float(digamma(prior_df / 2)) - math.log(prior_df / 2)))


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = ``value`` > 0, which falls from infinity to 0."""
    return math.exp(brentq(lambda x: float(polygamma(1, math.exp(x))) - value, math.log(1e-6), math.log(1e6)))
