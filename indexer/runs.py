"""Runs of tokens that are long enough to be of one task when two texts share them, and who shares what."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indexer.grams import HashArray, TokenTable

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SHARED_TOKENS: Final = 8  # running tokens that two texts must share to be of one task ...
SHARED_CHARACTERS: Final = 16  # ... if they write words apart; in a script without spaces a character is a token
MOST_TEXTS: Final = 20  # that share them at most: what more do is a template, not a task
_UNSPACED: Final = 0.3  # share of a text's tokens from which it counts as such


def run_lengths(table: TokenTable) -> IntArray:
    """How many tokens of each text make a run, (n,)."""
    unspaced = np.zeros(len(table), np.int64)
    for first, last in table.chunks():
        part = table.between(first, last)
        owners = np.repeat(np.arange(len(part)), np.diff(part.offsets))
        unspaced[first:last] = np.bincount(owners[part.unspaced], minlength=len(part))
    return np.where(unspaced > _UNSPACED * np.diff(table.offsets), SHARED_CHARACTERS, SHARED_TOKENS)


def runs_of(table: TokenTable, chosen: BoolArray) -> Iterator[tuple[HashArray, IntArray]]:
    """Every run of the chosen (n,) texts, long enough to be of one task: (hashes, text), as often as it stands
    there, a part of the table at a time.
    """
    lengths = run_lengths(table)
    for length in (SHARED_TOKENS, SHARED_CHARACTERS):
        if (fitting := chosen & (lengths == length)).any():
            yield from table.runs(length, fitting)


def held_together(keys: NDArray[Any], owners: IntArray, most: int) -> Iterator[IntArray]:
    """The owners of each key that 2 to `most` have, by how many they are: (keys, owners of each), in their order.

    keys, owners: (m,), a row for each owner of each key.
    """
    order = np.argsort(keys, kind="stable")
    keys, owners = keys[order], owners[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    sizes = np.diff(np.append(starts, len(keys)))
    for size in range(2, most + 1):
        yield owners[starts[sizes == size][:, None] + np.arange(size)]
