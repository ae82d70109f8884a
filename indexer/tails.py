"""Tails of distributions: how likely it is that chance alone does as much.

SciPy's own distributions are classes, which take a second to import and evaluate arrays one element after the
other; its special functions, which these are made of, do not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betaln

from indexer.ranges import places_in

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]


def hypergeometric_tail(least: DoubleArray, drawn: IntArray, marked: IntArray, total: IntArray) -> DoubleArray:
    """Chance that of `drawn` items, taken blindly out of `total`, at least `least` are among the `marked` ones.
    All are (n,), the chances in [0, 1].
    """
    lowest = np.maximum(np.ceil(least).astype(np.int64), np.maximum(0, drawn + marked - total))
    asked, place = np.unique(np.stack([lowest, drawn, marked, total]), axis=1, return_inverse=True)
    lowest, drawn, marked, total = asked  # many accounts do as much as others, and have the same chance
    terms = np.maximum(0, np.minimum(drawn, marked) - lowest + 1)
    owner, hits = np.repeat(np.arange(len(terms)), terms), places_in(lowest, terms)
    drawn, marked, total = drawn[owner], marked[owner], total[owner]
    logs = _log_choices(marked, hits) + _log_choices(total - marked, drawn - hits) - _log_choices(total, drawn)
    chances: DoubleArray = np.minimum(1.0, np.bincount(owner, np.exp(logs), len(terms)))[place]
    return chances


def _log_choices(total: IntArray, taken: IntArray) -> DoubleArray:
    """Logarithm of the number of ways to take some of so many."""
    logs: DoubleArray = -np.log1p(total) - betaln(total - taken + 1, taken + 1)
    return logs


def binomial_tail(least: int, trials: int, chance: float) -> float:
    """Chance of at least `least` successes of independent trials with one chance."""
    if least <= 0:
        return 1.0
    return float(bdtrc(least - 1, trials, chance)) if least <= trials else 0.0


def upper_tail(observed: int, chances: DoubleArray) -> float:
    """Bound on the chance of at least `observed` successes of independent trials with these chances (Chernoff,
    1952): the least over t of E[exp(t (successes - observed))], each t of a grid giving a bound.
    """
    if observed <= chances.sum():
        return 1.0
    tilts = np.geomspace(0.01, 30.0, 120)[:, None]
    logs = np.log1p(chances * np.expm1(tilts)).sum(axis=1) - tilts[:, 0] * observed
    return float(np.exp(min(0.0, logs.min())))  # t = 0 gives 1


def lower_tail(observed: int, expected: float) -> float:
    """Bound on the chance of at most `observed` successes of independent trials (Chernoff, 1952)."""
    if observed >= expected:
        return 1.0
    return float(np.exp(observed - expected - (observed * np.log(observed / expected) if observed else 0.0)))
