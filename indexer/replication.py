"""Whether a group's items are handed out a fixed number of times, as by a queue that wants so many answers each.

People ask what they like: most things once, popular ones often, a class the same few things all of them. However
popularity is spread, how many accounts ask about an item then varies more than by a Poisson law; a queue's numbers
vary less.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import gammaln

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

MOST_TIMES: Final = 16  # that a queue hands out an item ...
_OF_UNITS: Final = 3  # ... and no more than this part of the units: what most of them ask is homework
_POPULARITY: Final = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)  # squared variation of how often items are asked about
_DONE: Final = np.linspace(0.5, 0.99, 25)  # chance that an item handed out is among the events
_STRAY: Final = (0.02, 0.05, 0.1, 0.2, 0.4)  # share of items that are no queue's, or two taken for one
_NEVER: Final = 1e-300
_CHOICES: Final = 3.0  # nats: what the best of so many rates gains by chance


@dataclass(frozen=True, slots=True)
class Replication:
    """accounts: mean units that asked about an item, at least 1. times: how often each seems to be handed out, 0
    if they do not. gain: log-likelihood (nats) of that over people's choice, at least 0.
    """

    accounts: float
    times: int
    gain: float


NO_ITEMS: Final = Replication(1.0, 0, 0.0)


def replication(counts: IntArray, units: int) -> Replication:
    """Replication of a group of so many units. counts: (items,) units that asked about each, at least 1.

    Under people's choice the counts are zero-truncated negative binomial, with Poisson as the limit; under a queue
    they are zero-truncated binomial with a fixed number of trials. In either case some are strays, of whatever law
    falls with the count: the likeliest such (Grenander, 1956), which all of them may be if nobody hands out items.
    """
    if not len(counts):
        return NO_ITEMS
    values, items = np.unique(counts, return_counts=True)
    falling = _falling(values, items)
    by_choice = float((np.log(falling) * items).sum())
    at_most = float((np.log(items / items.sum()) * items).sum()) - by_choice - _CHOICES  # by any law whatever
    if at_most <= 0:
        return Replication(float(counts.mean()), 0, 0.0)
    means = np.geomspace(0.002, 4 * float(counts.mean()), 160)[:, None]
    for variation in _POPULARITY:
        chosen = np.exp(_truncated(values, means, variation))
        by_choice = max(by_choice, *(_likelihood(chosen, falling, share, items) for share in (0.0, *_STRAY)))
    best, times = 0.0, 0
    for number in range(2, max(2, min(MOST_TIMES, units // _OF_UNITS)) + 1):
        dealt = _dealt(values, number)
        gain = max(_likelihood(dealt, falling, share, items) for share in _STRAY) - by_choice - _CHOICES
        if gain > best:
            best, times = gain, number
    return Replication(float(counts.mean()), times, best)


def _likelihood(laws: DoubleArray, strays: DoubleArray, share: float, items: IntArray) -> float:
    """Log-likelihood under the likeliest of the laws, (laws, values), with a share of strays, (values,)."""
    chances = np.maximum((1 - share) * laws + share * strays, _NEVER)
    return float((np.log(chances) * items).sum(axis=1).max())


def _falling(values: IntArray, items: IntArray) -> DoubleArray:
    """Chance of each value under the likeliest law on 1, 2, ... that never rises."""
    every = np.zeros(int(values.max()))
    every[values - 1] = items / items.sum()
    law: DoubleArray = isotonic_regression(every, increasing=False).x[values - 1]
    return law


def _truncated(values: IntArray, means: DoubleArray, variation: float) -> DoubleArray:
    """Log chance of each value, given that it is not 0, for each mean: (means, values)."""
    if variation == 0:
        nought = -means
        law = values * np.log(means) - means - gammaln(values + 1)
    else:
        shape = 1 / variation
        nought = shape * np.log(shape / (shape + means))
        law = gammaln(values + shape) - gammaln(shape) - gammaln(values + 1)
        law = law + nought + values * np.log(means / (shape + means))
    result: DoubleArray = law - np.log(-np.expm1(nought))
    return result


def _dealt(values: IntArray, number: int) -> DoubleArray:
    """Chance of each value, given that it is not 0, of `number` trials, for each rate: (rates, values)."""
    possible = np.minimum(values, number)
    ways = gammaln(number + 1) - gammaln(possible + 1) - gammaln(number - possible + 1)
    rates = _DONE[:, None]
    law = ways + possible * np.log(rates) + (number - possible) * np.log1p(-rates)
    return np.where(values <= number, np.exp(law) / -np.expm1(number * np.log1p(-rates)), 0.0)
