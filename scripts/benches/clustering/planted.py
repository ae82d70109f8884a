"""Data with a known answer, made once and read by every process: planted.py KIND ROWS DIMENSION SEED FOLDER.

`distinct` and `copies` write vectors.npy, (ROWS, DIMENSION) float32 unit rows, and truth.npy, (ROWS,) int64, the
planted cluster of each row or -1 for background; `copies` has exact duplicates. `random`, `chain`, `comb` and
`duplicates` write a spanning tree of ROWS points: sources.npy, targets.npy, distances.npy, ascending. Seeded; a
process of its own, as a gigabyte of vectors in the one that starts the others would count as theirs.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

VECTORS = ("distinct", "copies")
FORESTS = ("random", "chain", "comb", "duplicates")

PLANTED_SHARE = 0.4
SIZES = (200, 20_000)  # of planted clusters, evenly over the logarithm ...
LARGEST_SHARE = 20  # ... and at most a 20th of the rows, or few rows would be one cluster
SPREADS = (0.01, 0.05, 0.1, 0.2, 0.35)  # lengths by which members differ from their middle; 0.35: cosine 0.88
COPIES = (0.0, 0.2, 0.5)  # shares of a cluster that are exact copies of its other members
SPECTRUM = 0.75  # variance of axis i is i ** -SPECTRUM: unrelated rows are as like as real prompts, not orthogonal
BLOCK_ROWS = 50_000

FLOOR = 1e-4  # the least distance in a tree, as the product has it
GROUP = 50  # points of a group of near-duplicates, on average
SAME_SHARE = 0.7  # of the edges inside a group, at the floor
LEVELS = 16  # different distances otherwise


def write_vectors(folder: Path, rows: int, dimension: int, seed: int, copies: bool) -> None:
    """Planted clusters among background, shuffled; block by block, so memory does not bound the number of rows."""
    rng = np.random.default_rng(seed)
    sizes = _sizes(rng, rows)
    owner = np.full(rows, -1, np.int64)
    owner[: sum(sizes)] = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(owner)
    scale = (np.arange(1, dimension + 1) ** (-SPECTRUM / 2)).astype(np.float32)
    scale /= np.linalg.norm(scale)
    middles = _unit(rng.standard_normal((len(sizes), dimension), np.float32) * scale)
    spreads = rng.choice(np.array(SPREADS, np.float32), len(sizes))
    made = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (rows, dimension))
    for start in range(0, rows, BLOCK_ROWS):
        mine = owner[start : start + BLOCK_ROWS]
        block = rng.standard_normal((len(mine), dimension), np.float32) * scale
        inside = mine >= 0
        block[inside] = middles[mine[inside]] + spreads[mine[inside], None] * block[inside]
        made[start : start + len(mine)] = _unit(block)
    if copies:
        copied, original = _copies(rng, owner, rng.choice(np.array(COPIES), len(sizes)))
        for start in range(0, len(copied), BLOCK_ROWS):
            some = slice(start, start + BLOCK_ROWS)
            made[copied[some]] = made[original[some]]
    made.flush()
    np.save(folder / "truth.npy", owner)


def _sizes(rng: np.random.Generator, rows: int) -> list[int]:
    """Sizes of clusters that together are about PLANTED_SHARE of the rows."""
    low, high = SIZES
    high = max(low, min(high, rows // LARGEST_SHARE))
    left, sizes = int(rows * PLANTED_SHARE), []
    while left >= low:
        sizes.append(min(left, int(low * (high / low) ** rng.random())))
        left -= sizes[-1]
    return sizes


def _copies(rng: np.random.Generator, owner: IntArray, shares: DoubleArray) -> tuple[IntArray, IntArray]:
    """Rows to overwrite, and the rows that they become copies of; early originals are copied most."""
    copied, original = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(shares) + 1))
    for cluster, share in enumerate(shares):
        members = order[starts[cluster] : starts[cluster + 1]]
        kept = len(members) - int(share * len(members))
        copied.append(members[kept:])
        original.append(members[(kept * rng.random(len(members) - kept) ** 3).astype(np.int64)])
    return np.concatenate(copied), np.concatenate(original)


def _unit(rows: FloatArray) -> FloatArray:
    scaled: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def tree(kind: str, points: int, seed: int) -> tuple[IntArray, IntArray, DoubleArray]:
    """Sources, targets and distances of a spanning tree, ascending; equal ones in one order for all methods."""
    rng = np.random.default_rng(seed)
    point = np.arange(1, points)
    if kind == "random":  # each hangs on some point before it
        above, distances = (point * rng.random(points - 1)).astype(np.int64), rng.uniform(0.01, 1.0, points - 1)
    elif kind == "chain":
        # Two halves, each of ever longer steps, that meet at the longest: single linkage of dense near-duplicates.
        above, half = point - 1, points // 2
        distances = np.concatenate(
            [np.sort(rng.uniform(0.01, 0.9, half - 1)), [1.0], np.sort(rng.uniform(0.01, 0.9, points - half - 1))]
        )
    elif kind == "comb":
        above, distances = _comb(rng, points)
    else:
        above, distances = _duplicates(rng, points)
    order = np.argsort(distances, kind="stable")
    return above[order], point[order], distances[order]


def _comb(rng: np.random.Generator, points: int) -> tuple[IntArray, DoubleArray]:
    """Two combs: a chain of ever longer steps, then one more point hangs on each of its points, in the chain's
    order. Each of those joins at a point that was never looked up since, so a union-find that does not shorten its
    paths walks the whole chain each time.
    """
    half = points // 2
    above, distances = [], []
    for start, size in ((0, half), (half, points - half)):
        spine = -(-size // 2)
        above += [start + np.arange(spine - 1), start + np.arange(size - spine)]
        distances += [np.sort(rng.uniform(0.01, 0.5, spine - 1)), np.sort(rng.uniform(0.5, 0.9, size - spine))]
        if not start:
            above, distances = [*above, np.array([0])], [*distances, np.array([1.0])]
    return np.concatenate(above), np.concatenate(distances)


def _duplicates(rng: np.random.Generator, points: int) -> tuple[IntArray, DoubleArray]:
    """Groups of near-duplicates, most of them at the floor, and few different distances elsewhere: many ties."""
    groups = max(2, points // GROUP)
    group = np.sort((groups * rng.random(points) ** 2).astype(np.int64))  # some are large
    first = np.searchsorted(group, group)  # the first point of each one's group
    within = np.arange(points) - first
    above = first + (within * rng.random(points)).astype(np.int64)
    near = FLOOR + rng.integers(LEVELS, size=points) * (0.05 - FLOOR) / LEVELS
    distances = np.where(rng.random(points) < SAME_SHARE, FLOOR, near)
    heads = within == 0
    head_points = np.flatnonzero(heads)
    earlier = (np.arange(len(head_points)) * rng.random(len(head_points))).astype(np.int64)
    above[heads] = head_points[earlier]
    distances[heads] = 0.1 + rng.integers(LEVELS, size=len(head_points)) * 0.9 / LEVELS
    return above[1:], distances[1:]


def main() -> None:
    kind, rows, dimension, seed = sys.argv[1], *map(int, sys.argv[2:5])
    folder = Path(sys.argv[5])
    if kind in VECTORS:
        write_vectors(folder, rows, dimension, seed, copies=kind == "copies")
        return
    for name, values in zip(("sources", "targets", "distances"), tree(kind, rows, seed), strict=True):
        np.save(folder / f"{name}.npy", values)


if __name__ == "__main__":
    main()
