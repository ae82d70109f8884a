"""The views of a corpus: which texts each view compares, and which prompts stand behind each text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus, Distinct, numbered
from indexer.encode import Encoder
from indexer.grams import HotGrams, TokenTable
from indexer.hot_grams import hot_grams
from indexer.kept import kept_in_corpus
from indexer.key_table import KeyTable
from indexer.ranges import places_in
from indexer.recurring import cut_out
from indexer.settings import Detection
from indexer.texts import offsets_of
from indexer.workspace import Folder
from models.view import View

IntArray = NDArray[np.int64]
Tabulate = Callable[[Sequence[str]], Iterable[TokenTable]]
CutOut = Callable[[Sequence[str], TokenTable, NDArray[np.bool_]], list[str]]

_TEXTS_AT_A_TIME: Final = 1 << 17  # of which the processes that share them have enough


@dataclass(frozen=True, slots=True)
class ViewTexts:
    """The distinct texts of one view: the points that are clustered.

    texts: p distinct texts, in the order in which prompts have them. prompts, points: (m,) int64, one row for each
    text of each prompt, ordered by prompt; a prompt has no row if the view shows nothing of it, several if it was
    cut into windows. weights: (p,) int64 >= 1, distinct pairs of a prompt and a unit that sent it.
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


def write_table(folder: Folder, texts: Sequence[str], tables: Tabulate) -> None:
    """Puts the token table of texts into a folder. tables: gives it, part by part."""
    with folder.writer("hashes") as hashes, folder.writer("unspaced") as unspaced, folder.writer("offsets") as to:
        end = 0
        to.append(np.zeros(1, np.int64))
        for table in tables(texts):
            hashes.append(table.hashes)
            unspaced.append(table.unspaced)
            to.append(end + table.offsets[1:])
            end += int(table.offsets[-1])


def read_table(folder: Folder) -> TokenTable:
    """The token table that `write_table` put there, mapped into memory."""
    arrays = (("hashes", np.uint64), ("unspaced", np.bool_), ("offsets", np.int64))
    return TokenTable(*(folder.array(*each) for each in arrays))


def write_whole_view(folder: Folder, corpus: Corpus, encoder: Encoder) -> None:
    """Puts View.WHOLE into a folder: user texts in windows of the encoder."""
    texts = corpus.user.texts
    pieces = (encoder.cut(list(texts[first:last])) for first, last in _parts(len(texts)))
    _write(folder, corpus, corpus.user.text_of_prompt, pieces)


def write_recurring_view(
    folder: Folder, view: View, corpus: Corpus, words: Words, detection: Detection, cut: CutOut = cut_out
) -> None:
    """Puts recurring text of the user's words (View.RECURRING) or of the system prompt (View.SYSTEM) into a
    folder, and the hot grams that decide what recurs. cut: does what `cut_out` does.
    """
    role, table = words.role, words.table
    sent_by = corpus.senders_of(role.text_of_prompt, len(role.texts))
    hot = hot_grams(table, sent_by, _min_texts(view, detection), detection.gram_units)
    folder.write("hot", hot.hashes)
    folder.write("deep", hot.deep)
    kept = kept_in_corpus(table, hot)
    recurring = (
        cut(list(role.texts[first:last]), table.between(first, last), kept[slice(*table.offsets[[first, last]])])
        for first, last in _parts(len(role.texts))
    )
    pieces = ([[text] if text else [] for text in texts] for texts in recurring)
    _write(folder, corpus, role.text_of_prompt, pieces)


def read_view(folder: Folder, view: View) -> ViewTexts:
    """The view that was put there, mapped into memory."""
    prompts, points, weights = (folder.array(name, np.int64) for name in ("prompts", "points", "weights"))
    return ViewTexts(view, folder.texts("texts"), prompts, points, weights)


def read_hot_grams(folder: Folder) -> HotGrams:
    """The hot grams that `write_recurring_view` put there."""
    return HotGrams(folder.array("hot", np.uint64), folder.array("deep", np.bool_))


def _min_texts(view: View, detection: Detection) -> int:
    """A fixed system prompt is one text, however many prompts stand under it."""
    return 1 if view is View.SYSTEM else detection.gram_texts


def _parts(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, _TEXTS_AT_A_TIME):
        yield first, min(first + _TEXTS_AT_A_TIME, count)


def _write(
    folder: Folder, corpus: Corpus, text_of_prompt: IntArray, pieces: Iterable[Sequence[Sequence[str]]]
) -> None:
    """pieces: what the view shows of each text of the role, some texts at a time."""
    known = KeyTable()
    counts, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    with folder.texts_writer("texts") as texts:
        for some in pieces:
            number, fresh = numbered([piece for mine in some for piece in mine], known)
            texts.append(fresh)
            counts.append(np.fromiter(map(len, some), np.int64, len(some)))
            numbers.append(number)
    count, number = np.concatenate(counts), np.concatenate(numbers)
    shown = np.flatnonzero(text_of_prompt >= 0)
    each = count[text_of_prompt[shown]]
    prompts = np.repeat(shown, each)
    points = number[places_in(offsets_of(count)[text_of_prompt[shown]], each)]
    weights = np.bincount(points, _senders_of_prompts(corpus)[prompts], minlength=len(known))
    for name, array in (("prompts", prompts), ("points", points), ("weights", weights.astype(np.int64))):
        folder.write(name, array)


def _senders_of_prompts(corpus: Corpus) -> IntArray:
    """Distinct units that sent each prompt, shape (prompts,)."""
    return np.diff(corpus.senders_of(np.arange(len(corpus)), len(corpus)).offsets)
