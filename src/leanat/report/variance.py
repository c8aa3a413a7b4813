"""Moderated variances: the variance of an effect over seeds, improved by the variances of the paper's other effects.

Three seeds say little about a variance. Smyth (2004, Statistical Applications in Genetics and Molecular Biology 3(1), article 3)
lets each variance borrow from the others: the true variances are assumed to be draws from a scaled inverse chi-squared
distribution, whose two parameters are estimated from all sample variances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import digamma, fdtrc, polygamma

LEAST_EFFECTS = 20  # with fewer, the prior is too uncertain: in simulations the error exceeds its bound
IMPROBABLE = 0.05  # a variance borrows nothing if one so large has a smaller probability than this
MOST_DF = 6.0  # maximum of the degrees of freedom that are borrowed, reached if the variances seem equal


class Prior(NamedTuple):
    """The usual variance of a paper's effects, and the degrees of freedom that it counts for; 0: nothing is borrowed."""

    df: float
    variance: float

    def posterior(self, variance: float, df: int) -> tuple[float, float]:
        """The moderated variance of an effect with a sample variance of ``df`` degrees of freedom, and the df it borrows.

        A variance that is improbably large compared with the others, mostly because of a collapsed seed, borrows nothing, since
        it does not come from their distribution (Phipson et al. 2016, Annals of Applied Statistics 10(2)).
        """
        if not self.df or fdtrc(df, self.df, variance / self.variance) < IMPROBABLE:
            return variance, 0.0
        return (self.df * self.variance + df * variance) / (self.df + df), self.df


NO_PRIOR = Prior(0.0, 0.0)


class Priors(NamedTuple):
    """The priors of a paper: one for accuracies, which have an error over test images, and one for other numbers."""

    accuracies: Prior = NO_PRIOR
    others: Prior = NO_PRIOR

    def of(self, error: float) -> Prior:
        """The prior of an effect with this error over test images, which is 0 for numbers other than accuracies."""
        return self.accuracies if error else self.others


NO_PRIORS = Priors()


def prior(variances: Sequence[float], df: int) -> Prior:
    """The prior of effects whose sample variances have ``df`` degrees of freedom each, by moments of their logarithms.

    Variances of 0, of effects that are equal for all seeds, count as a ten thousandth of the median. With fewer effects than
    ``LEAST_EFFECTS`` nothing is borrowed.
    """
    positive = sorted(v for v in variances if v > 0)
    if len(variances) < LEAST_EFFECTS or not positive:
        return NO_PRIOR
    least = 1e-4 * positive[len(positive) // 2]
    logs = [math.log(max(v, least)) - digamma(df / 2) + math.log(df / 2) for v in variances]
    mean = math.fsum(logs) / len(logs)
    excess = math.fsum((x - mean) ** 2 for x in logs) / (len(logs) - 1) - float(polygamma(1, df / 2))
    if excess < 1e-4:  # they differ no more than by chance: all have the same variance
        return Prior(MOST_DF, math.exp(mean))
    prior_df = 2 * _inverse_trigamma(excess)
    return Prior(min(MOST_DF, prior_df), math.exp(mean + float(digamma(prior_df / 2)) - math.log(prior_df / 2)))


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = ``value`` > 0; trigamma falls from infinity to 0."""
    return math.exp(brentq(lambda x: float(polygamma(1, math.exp(x))) - value, math.log(1e-6), math.log(1e6)))
