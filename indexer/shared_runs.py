"""Pairs of texts that share a run of tokens which hardly any other has: they are of one task."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.grams import TokenTable
from indexer.lanes import each_in_lanes
from indexer.occurrences import Occurrences, RunCounts, common_runs, occurrences, run_counts
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
    """Pairs among the chosen of n texts, (n,). base: those of the first texts, when perhaps others were chosen;
    what it found is looked for again only where a text has come or gone.
    """
    lengths = np.where(chosen, run_lengths(table), 0)
    if base is None:
        counted = run_counts(table, lengths)
        return SharedRuns(_pairs(occurrences(table, lengths, _LEAST, counted=counted)), chosen, counted)
    known = np.zeros(len(table), np.bool_)
    known[: len(base.chosen)] = base.chosen
    counted = base.counted.with_texts(table, np.where(known, 0, lengths))

    def looked_at(texts: BoolArray) -> Occurrences:
        """The runs of these texts, chosen or not any more, in all that are chosen."""
        among = common_runs(table, np.where(texts, run_lengths(table), 0), _LEAST, counted)
        return occurrences(table, lengths, _LEAST, among=among, counted=counted)

    moved = chosen != known
    found = looked_at(moved)
    crowded = _crowded(found, known)
    if crowded.any():
        found = looked_at(moved | crowded)
    kept = base.pairs[(chosen & ~crowded)[base.pairs].all(axis=1)]
    keys = np.unique(np.concatenate([kept, _pairs(found)]) @ np.array([len(table), 1]))
    return SharedRuns(np.stack(np.divmod(keys, max(1, len(table))), axis=1), chosen, counted)


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


def _pairs(found: Occurrences) -> IntArray:
    """Pairs of texts that share a run which at most MOST_TEXTS have, (m, 2), each once."""
    texts = len(found.table)

    def look(part: int) -> IntArray:
        pairs = [np.zeros(0, np.int64)]
        for members in held_together(*found.distinct_part(part), MOST_TEXTS):
            one, other = np.triu_indices(members.shape[1], 1)
            pairs.append(np.unique(members[:, one] * texts + members[:, other]))
        return np.unique(np.concatenate(pairs))

    keys = np.unique(np.concatenate(each_in_lanes(range(found.parts), look)))
    return np.stack(np.divmod(keys, max(1, texts)), axis=1)


def _crowded(found: Occurrences, known: BoolArray) -> BoolArray:
    """Which of the known texts, (n,), share a run that few of them have, and more than MOST_TEXTS of all: they
    were pairs, and may be none any more.
    """

    def look(part: int) -> IntArray:
        hashes, texts = found.distinct_part(part)
        starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]][: len(hashes)])
        sizes = np.diff(np.append(starts, len(hashes)))
        of_known = np.add.reduceat(known[texts].astype(np.int64), starts) if len(starts) else sizes
        crowded = (sizes > MOST_TEXTS) & (of_known > 1) & (of_known <= MOST_TEXTS)
        return texts[np.repeat(crowded, sizes) & known[texts]]

    crowded = np.zeros(len(known), np.bool_)
    crowded[np.concatenate(each_in_lanes(range(found.parts), look))] = True
    return crowded
