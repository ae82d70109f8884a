"""Whether the accounts behind some events keep hours, as people do, or never rest, as a scheduler does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

_DAY_S = 86_400
_SESSION_S = 1800
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Rhythm:
    """concentration: mean cosine of the angle between two active hours of one account on the 24-hour clock, in
    [-1, 1]: 0 for accounts awake round the clock, higher the more each keeps to hours of its own, in whatever
    time zone. pairs: how many independent pairs it rests on (active hours less one, summed over accounts).
    """

    concentration: float
    pairs: int


def rhythm(accounts: IntArray, timestamps: IntArray) -> Rhythm:
    """Rhythm of events, given the account and the time (s) of each. All that an account sends in one hour counts
    once, or whoever asks ten things in one go would seem to keep hours.

    For n active hours of an account, (|sum exp(i angle)|^2 - n) / (n (n - 1)) is an unbiased estimate of the
    squared mean resultant length (Mardia and Jupp, 2000, "Directional statistics", 2.3); accounts are
    averaged with weights n - 1.
    """
    hours = np.unique(np.stack([accounts, timestamps // _HOUR_S], axis=1), axis=0)
    angles = 2 * np.pi * _HOUR_S * (hours[:, 1] % (_DAY_S // _HOUR_S)) / _DAY_S
    _, codes, counts = np.unique(hours[:, 0], return_inverse=True, return_counts=True)
    length = np.bincount(codes, np.cos(angles)) ** 2 + np.bincount(codes, np.sin(angles)) ** 2
    several = counts > 1
    pairs = int((counts[several] - 1).sum())
    if not pairs:
        return Rhythm(0.0, 0)
    estimates = (length[several] - counts[several]) / counts[several]  # already times n - 1
    return Rhythm(float(estimates.sum() / pairs), pairs)


@dataclass(frozen=True, slots=True)
class Sessions:
    """excess: how much of the gaps between successive events of one account that chance would leave longer than
    half an hour is shorter, at most 1: 0 for events at random times, negative for accounts that keep a distance.
    gaps: how many there are.
    """

    excess: float
    gaps: int


def sessions(accounts: IntArray, timestamps: IntArray, span: int) -> Sessions:
    """Sessions of events, given the account and the time (s) of each and how long the traffic lasts (s).

    n events of an account at random times have n - 1 gaps that are shorter than t with chance
    1 - exp(-n t / span).
    """
    order = np.lexsort((timestamps, accounts))
    same = accounts[order][1:] == accounts[order][:-1]
    gaps = np.diff(timestamps[order])[same]
    if not len(gaps):
        return Sessions(0.0, 0)
    _, codes, counts = np.unique(accounts[order], return_inverse=True, return_counts=True)
    expected = 1 - np.exp(-counts[codes[1:][same]] * _SESSION_S / max(_SESSION_S, span))
    observed = float((gaps < _SESSION_S).mean())
    chance = min(0.99, float(expected.mean()))
    return Sessions((observed - chance) / (1 - chance), len(gaps))
