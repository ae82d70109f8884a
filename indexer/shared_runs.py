"""Pairs of texts that share a run of tokens which hardly any other has: they are of one task."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.grams import HashArray, TokenTable
from indexer.lanes import each_in_lanes
from indexer.occurrences import EVERYTHING, RunCounts, TextArray, common_runs, occurrences, run_counts
from indexer.runs import MOST_TEXTS, held_together, run_lengths
from indexer.workspace import Folder

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class SharedRuns:
    """pairs: (m, 2) int64, texts that share a run which at most MOST_TEXTS have, the smaller number first; no pair
    stands twice. chosen: (texts,) bool, those that were looked at. counted: how often runs stand in them.
    """

    pairs: IntArray
    chosen: BoolArray
    counted: RunCounts


def shared_runs(table: TokenTable, chosen: BoolArray, base: SharedRuns | None = None) -> SharedRuns:
    """Pairs among the chosen of n texts, (n,).

    base: those of the first texts, when perhaps others were chosen. A pair that was found stays one, though more
    texts may have its run by now; what is looked for is what the texts share that are newly chosen.
    """
    lengths = np.where(chosen, run_lengths(table), 0)
    if base is None:
        counted, among, pairs = run_counts(table, lengths), EVERYTHING, np.zeros((0, 2), np.int64)
    else:
        known = np.zeros(len(table), np.bool_)
        known[: len(base.chosen)] = base.chosen
        fresh = np.where(known, 0, lengths)
        counted = base.counted.with_texts(table, fresh)
        among = common_runs(table, fresh, _LEAST, counted)
        pairs = base.pairs[chosen[base.pairs].all(axis=1)]
    found = occurrences(table, lengths, _LEAST, among=among, counted=counted)
    keys = each_in_lanes(range(found.parts), lambda part: _sharing(*found.part(part), len(table)))
    distinct = np.unique(np.concatenate([pairs @ np.array([len(table), 1]), *keys]))
    return SharedRuns(np.stack(np.divmod(distinct, max(1, len(table))), axis=1), chosen, counted)


def write_shared_runs(folder: Folder, found: SharedRuns) -> None:
    """Puts pairs into a folder."""
    folder.write("pairs", found.pairs)
    folder.write("chosen", found.chosen)
    folder.write("counted", found.counted.counts)


def read_shared_runs(folder: Folder) -> SharedRuns:
    """The pairs that `write_shared_runs` put there, mapped into memory."""
    return SharedRuns(
        folder.array("pairs", np.int64, 2),
        folder.array("chosen", np.bool_),
        RunCounts(folder.array("counted", np.uint8)),
    )


def _sharing(hashes: HashArray, owners: TextArray, texts: int) -> IntArray:
    """Pairs of texts that share a run which at most MOST_TEXTS have, as first * texts + second, (m,). hashes,
    owners: a row for each occurrence of a run, by hash, then by text.
    """
    fresh = np.ones(len(hashes), np.bool_)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    pairs = [np.zeros(0, np.int64)]
    for members in held_together(hashes[fresh], owners[fresh].astype(np.int64), MOST_TEXTS):
        one, other = np.triu_indices(members.shape[1], 1)
        pairs.append(np.unique(members[:, one] * texts + members[:, other]))
    return np.unique(np.concatenate(pairs))
