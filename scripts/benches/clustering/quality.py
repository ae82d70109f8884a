"""How good an answer is: against what was planted, and against another answer. NOISE is one more class."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

NOISE = -1
TIE = 1e-5  # cosines of float32 that differ by less are equal


@dataclass(frozen=True, slots=True)
class Quality:
    """f1: of each planted cluster with the found one that fits it best, mean weighted by size; background that a
    cluster swallows counts against it. noise_f1: of what is called noise, as background. ari: with noise as one
    class. clusters: how many were found.
    """

    f1: float
    noise_f1: float
    ari: float
    clusters: int

    def figures(self) -> dict[str, float]:
        return asdict(self)


def quality(truth: IntArray, found: IntArray) -> Quality:
    """Of an answer, (n,), against the planted clusters, (n,)."""
    planted, owner = np.unique(truth, return_inverse=True)
    numbers, member = np.unique(found, return_inverse=True)
    sizes, found_sizes = np.bincount(owner), np.bincount(member)
    pairs, common = np.unique(owner * len(numbers) + member, return_counts=True)
    one, other = pairs // len(numbers), pairs % len(numbers)
    score = 2 * common / (sizes[one] + found_sizes[other])
    is_planted, is_cluster = planted != NOISE, numbers != NOISE
    best = np.zeros(len(sizes))
    inside = is_planted[one] & is_cluster[other]
    np.maximum.at(best, one[inside], score[inside])
    noise = score[~is_planted[one] & ~is_cluster[other]]
    return Quality(
        f1=float(np.average(best[is_planted], weights=sizes[is_planted])) if is_planted.any() else 1.0,
        noise_f1=float(noise[0]) if len(noise) else 0.0,
        ari=agreement(truth, found),
        clusters=int(is_cluster.sum()),
    )


def agreement(one: IntArray, other: IntArray) -> float:
    """Adjusted Rand index of two answers, noise as one class."""
    return float(adjusted_rand_score(one, other))


def recall(
    vectors: FloatArray, rows: IntArray, sample: IntArray, cosines: FloatArray, least: float = -1.0
) -> float:
    """Share of the true neighbours of sampled rows that were found, by how near they are: equals may stand for one
    another.

    vectors: (n, d). rows: (n, k) what was found, -1 for nothing. sample: (s,) row numbers. cosines: (s, k) of
    their true neighbours, descending. least: true neighbours farther than this do not count.
    """
    found = rows[sample]
    reached = np.einsum("sd,skd->sk", vectors[sample], vectors[np.maximum(found, 0)])
    true = np.sum(cosines >= least, axis=1)
    enough = np.maximum(cosines[:, -1:], least) - TIE
    hits = np.sum((reached >= enough) & (found >= 0), axis=1)
    return float(np.minimum(hits, true).sum() / max(1, true.sum()))
