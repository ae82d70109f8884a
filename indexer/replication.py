"""Whether a group's items are handed out a fixed number of times, as by a queue that wants so many answers each.

People ask what they like: most things once, popular ones often, a class the same few things all of them. However
popularity is spread, how many accounts ask about an item then varies as by a Poisson law or more. What a queue
does varies less, and each item goes to other accounts than the one before.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import gammaln

from indexer.grams import expected_units
from indexer.runs import held_together

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

MOST_TIMES: Final = 16  # that a queue hands out an item
_POPULARITY: Final = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)  # squared variation of how often items are asked about
_DONE: Final = np.linspace(0.5, 0.99, 25)  # chance that an item handed out is among the events
_STRAY: Final = (0.02, 0.05, 0.1, 0.2, 0.4)  # share of items that are no queue's, or two taken for one
_NEVER: Final = 1e-300
_CHOICES: Final = 3.0  # nats: what the best of so many rates gains by chance
_COUNTED: Final = 200.0  # items at most: the laws are not so exact that thousands would prove anything
_MORE: Final = 1.0  # co-senders that chance must give a unit beyond those of one item, for circles to be seen


@dataclass(frozen=True, slots=True)
class Replication:
    """accounts: mean units that asked about an item, at least 1. times: how often each seems to be handed out, 0
    if they do not. gain: log-likelihood (nats) of that over people's choice, at least 0; less if the same units
    ask about the same items again and again.
    """

    accounts: float
    times: int
    gain: float


NO_ITEMS: Final = Replication(1.0, 0, 0.0)


def replication(item: IntArray, unit: IntArray) -> Replication:
    """Replication of a group, given for each of its events what it is about and who sent it.

    Under people's choice the numbers of units of an item are zero-truncated negative binomial, with Poisson as the
    limit, or, if one always asks and others follow, one more than that; under a queue they are zero-truncated
    binomial with a fixed number of trials. In any case some are strays, of whatever law falls with the number: the
    likeliest such (Grenander, 1956), which all of them may be if nobody hands out items.

    Classes and teams ask about a fixed number of things each too, but in a circle: who asks about one thing with
    somebody does so about the next. A queue deals each item to others.
    """
    if not len(item):
        return NO_ITEMS
    pairs = np.unique(np.stack([item, unit], axis=1), axis=0)
    counts = np.unique(pairs[:, 0], return_counts=True)[1]
    gain, times = _queue(counts)
    if times:
        gain *= _dealt_anew(pairs[:, 0], pairs[:, 1], times)
    return Replication(float(counts.mean()), times if gain > 0 else 0, gain)


def _queue(counts: IntArray) -> tuple[float, int]:
    """Gain of the likeliest queue over people's choice, and how often it hands out an item; (0, 0) for none."""
    values, several = np.unique(counts, return_counts=True)
    items = several.astype(np.float64) * min(1.0, _COUNTED / len(counts))
    falling = _falling(values, items)
    by_choice = float((np.log(falling) * items).sum())
    at_most = float((np.log(items / items.sum()) * items).sum()) - by_choice - _CHOICES  # by any law whatever
    if at_most <= 0:
        return 0.0, 0
    means = np.geomspace(0.002, 4 * float(counts.mean()), 160)[:, None]
    for variation in _POPULARITY:
        for chosen in (_truncated(values, means, variation), _law(values - 1, means, variation)):
            for share in (0.0, *_STRAY):
                by_choice = max(by_choice, _likelihood(np.exp(chosen), falling, share, items))
    best, times = 0.0, 0
    for number in range(2, MOST_TIMES + 1):
        dealt = _dealt(values, number)
        gain = max(_likelihood(dealt, falling, share, items) for share in _STRAY) - by_choice - _CHOICES
        if gain > best:
            best, times = gain, number
    return best, times


def _dealt_anew(item: IntArray, unit: IntArray, times: int) -> float:
    """How far each item goes to other units than the one before, in [0, 1]: 0 if they form circles.

    item, unit: (m,) distinct pairs. What is compared is how many others a unit shares
    items with: `times` - 1 in a circle, and what its number of meetings gives if each is with anybody.
    """
    unit = np.unique(unit, return_inverse=True)[1]
    met = [np.zeros(0, np.int64)]
    units = int(unit.max(initial=-1)) + 1
    for members in held_together(item, unit, MOST_TIMES):
        one, other = np.nonzero(~np.eye(members.shape[1], dtype=bool))
        met.append((members[:, one] * units + members[:, other]).ravel())
    meetings = np.concatenate(met)
    if not len(meetings):
        return 0.0
    meetings_of = np.bincount(meetings // units, minlength=units)
    active = meetings_of > 0
    seen = len(np.unique(meetings)) / np.count_nonzero(active)
    expected = float(expected_units(meetings_of[active], meetings_of).mean())
    if expected < times - 1 + _MORE:
        return 0.0
    return float(np.clip((seen - (times - 1)) / (expected - (times - 1)), 0.0, 1.0))


def _likelihood(laws: DoubleArray, strays: DoubleArray, share: float, items: DoubleArray) -> float:
    """Log-likelihood under the likeliest of the laws, (laws, values), with a share of strays, (values,)."""
    chances = np.maximum((1 - share) * laws + share * strays, _NEVER)
    return float((np.log(chances) * items).sum(axis=1).max())


def _falling(values: IntArray, items: DoubleArray) -> DoubleArray:
    """Chance of each value under the likeliest law on 1, 2, ... that never rises."""
    every = np.zeros(int(values.max()))
    every[values - 1] = items / items.sum()
    law: DoubleArray = isotonic_regression(every, increasing=False).x[values - 1]
    return law


def _truncated(values: IntArray, means: DoubleArray, variation: float) -> DoubleArray:
    """Log chance of each value, given that it is not 0, for each mean: (means, values)."""
    nought = _law(np.zeros(1, np.int64), means, variation)
    result: DoubleArray = _law(values, means, variation) - np.log(-np.expm1(nought))
    return result


def _law(values: IntArray, means: DoubleArray, variation: float) -> DoubleArray:
    """Log chance of each value under a negative binomial law, for each mean: (means, values)."""
    if variation == 0:
        law: DoubleArray = values * np.log(means) - means - gammaln(values + 1)
        return law
    shape = 1 / variation
    chosen = gammaln(values + shape) - gammaln(shape) - gammaln(values + 1)
    return chosen + shape * np.log(shape / (shape + means)) + values * np.log(means / (shape + means))


def _dealt(values: IntArray, number: int) -> DoubleArray:
    """Chance of each value, given that it is not 0, of `number` trials, for each rate: (rates, values)."""
    possible = np.minimum(values, number)
    ways = gammaln(number + 1) - gammaln(possible + 1) - gammaln(number - possible + 1)
    rates = _DONE[:, None]
    law = ways + possible * np.log(rates) + (number - possible) * np.log1p(-rates)
    return np.where(values <= number, np.exp(law) / -np.expm1(number * np.log1p(-rates)), 0.0)
