"""The views of a corpus: which texts each view compares, and which prompts stand behind each text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.batches import batch_ranges
from indexer.corpus import Corpus, Distinct
from indexer.grams import TokenTable
from indexer.key_table import KeyArray, KeyTable
from indexer.ranges import places_in
from indexer.texts import offsets_of
from indexer.workspace import Folder
from models.text import FINGERPRINT_BYTES
from models.view import View

IntArray = NDArray[np.int64]
Tabulate = Callable[[Sequence[str]], Iterable[TokenTable]]

NEW: Final = -1
_TEXTS_AT_A_TIME: Final = 1 << 17
_BYTES_AT_A_TIME: Final = 1 << 26


@dataclass(frozen=True, slots=True)
class ViewTexts:
    """The distinct texts of one view: the points that are clustered.

    texts: p distinct texts, in the order in which prompts have them, behind those of the corpus before. prompts,
    points: (m,) int64, one row for each text of each prompt, ordered by prompt; a prompt has no row if the view
    shows nothing of it, several if it was cut into windows. weights: (p,) int64 >= 1, distinct pairs of a prompt
    and a unit that sent it.
    """

    view: View
    texts: Sequence[str]
    prompts: IntArray
    points: IntArray
    weights: IntArray


@dataclass(frozen=True, slots=True)
class Words:
    """The distinct texts of a corpus in one role, and their tokens."""

    role: Distinct
    table: TokenTable


def write_table(
    folder: Folder,
    texts: Sequence[str],
    tables: Tabulate,
    base: Folder | None = None,
    origin: IntArray | None = None,
) -> None:
    """Puts the token table of texts into a folder. tables: gives it, part by part. base: where the table of texts
    is that come first: all of them, or those of `origin`, (n,), which is NEW for the others.
    """
    first = [] if base is None else [read_table(base)]
    if origin is not None:
        first, base = [table.select(origin[origin != NEW]) for table in first], None
    known = sum(len(table) for table in first)
    with (
        folder.writer("hashes", base) as hashes,
        folder.writer("unspaced", base) as unspaced,
        folder.writer("offsets", base) as to,
    ):
        end = 0 if base is None else int(first.pop().offsets[-1])
        if base is None:
            to.append(np.zeros(1, np.int64))
        for table in chain(first, tables(texts[known:])):
            hashes.append(table.hashes)
            unspaced.append(table.unspaced)
            to.append(end + table.offsets[1:])
            end += int(table.offsets[-1])


def read_table(folder: Folder) -> TokenTable:
    """The token table that `write_table` put there, mapped into memory."""
    arrays = (("hashes", np.uint64), ("unspaced", np.bool_), ("offsets", np.int64))
    return TokenTable(*(folder.array(*each) for each in arrays))


def read_view(folder: Folder, view: View) -> ViewTexts:
    """The view that was put there, mapped into memory."""
    prompts, points, weights = (folder.array(name, np.int64) for name in ("prompts", "points", "weights"))
    return ViewTexts(view, folder.texts("texts"), prompts, points, weights)


def read_origin(folder: Folder) -> IntArray:
    """For each text of a view that was put there, which it was in the view of the corpus before, (p,); NEW if it
    was none. Those that were one come first, in the order that they had.
    """
    return folder.array("origin", np.int64)


def read_keys(folder: Folder) -> KeyArray:
    """Keys of the texts of a view that was put there, (p, 2)."""
    keys: KeyArray = folder.array("keys", np.uint64, FINGERPRINT_BYTES // 8)
    return keys


def known_texts(base: Folder | None) -> KeyTable:
    """Numbers of the texts of a view that was put there, none if there was no view."""
    known = KeyTable()
    if base is not None:
        known.add(read_keys(base))
    return known


def write_points(
    folder: Folder, corpus: Corpus, text_of_prompt: IntArray, count: IntArray, number: IntArray, points: int
) -> None:
    """Puts prompts, points and weights into the folder of a view that has so many texts. count: (texts,) how many
    the view shows of each text of the role; number: which these are, end to end.
    """
    sent = np.flatnonzero(text_of_prompt >= 0)
    each = count[text_of_prompt[sent]]
    prompts = np.repeat(sent, each)
    shown = number[places_in(offsets_of(count)[text_of_prompt[sent]], each)]
    weights = np.bincount(shown, _senders_of_prompts(corpus)[prompts], minlength=points)
    for name, array in (("prompts", prompts), ("points", shown), ("weights", weights.astype(np.int64))):
        folder.write(name, array)


def parts_of(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges that together are all texts, given their sizes in bytes (n,): each of so many that processes which
    share them have enough of, and of so few bytes that they fit into memory several times over.
    """
    return batch_ranges(sizes, _BYTES_AT_A_TIME, _TEXTS_AT_A_TIME)


def _senders_of_prompts(corpus: Corpus) -> IntArray:
    """Distinct units that sent each prompt, shape (prompts,)."""
    return np.diff(corpus.senders_of(np.arange(len(corpus)), len(corpus)).offsets)
