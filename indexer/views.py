"""The views of a corpus: which texts each view compares, and which prompts stand behind each text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus, Distinct, distinct
from indexer.encode import Encoder
from indexer.grams import HotGrams, TokenTable, token_table
from indexer.hot_grams import hot_grams
from indexer.kept import kept_in_corpus
from indexer.recurring import cut_out
from indexer.settings import Detection
from models.view import View

IntArray = NDArray[np.int64]
CutOut = Callable[[Sequence[str], TokenTable, NDArray[np.bool_]], list[str]]


@dataclass(frozen=True, slots=True)
class ViewTexts:
    """The distinct texts of one view: the points that are clustered.

    texts: p distinct texts, ordered as strings. prompts, points: (m,) int64, one row for each text of each
    prompt, ordered by prompt; a prompt has no row if the view shows nothing of it, several if it was cut into
    windows. weights: (p,) int64 >= 1, distinct pairs of a prompt and a unit that sent it.
    """

    view: View
    texts: tuple[str, ...]
    prompts: IntArray
    points: IntArray
    weights: IntArray


def whole_view(corpus: Corpus, encoder: Encoder) -> ViewTexts:
    """User texts in windows of the encoder."""
    windows = iter(encoder.cut([text for text in corpus.user if text]))
    return _view(View.WHOLE, corpus, [next(windows) if text else [] for text in corpus.user])


@dataclass(frozen=True, slots=True)
class Words:
    """The distinct texts of a corpus in one role, and their tokens."""

    role: Distinct
    table: TokenTable


def words_of(texts: Sequence[str], tabulate: Callable[[Sequence[str]], TokenTable] = token_table) -> Words:
    """Words of the texts of all prompts in one role. tabulate: gives their `token_table`."""
    role = distinct(texts)
    return Words(role, tabulate(role.texts))


def recurring_view(
    view: View, corpus: Corpus, words: Words, detection: Detection, cut: CutOut = cut_out
) -> tuple[ViewTexts, HotGrams]:
    """Recurring text of the user's words (View.RECURRING) or of the system prompt (View.SYSTEM), and the hot
    grams that decide what recurs. cut: does what `cut_out` does.
    """
    role, table = words.role, words.table
    sent_by = corpus.senders_of(role.text_of_prompt, len(role.texts))
    hot = hot_grams(table, sent_by, _min_texts(view, detection), detection.gram_units)
    recurring = cut(role.texts, table, kept_in_corpus(table, hot))
    pieces = [[recurring[text]] if text >= 0 and recurring[text] else [] for text in role.text_of_prompt]
    return _view(view, corpus, pieces), hot


def _min_texts(view: View, detection: Detection) -> int:
    """A fixed system prompt is one text, however many prompts stand under it."""
    return 1 if view is View.SYSTEM else detection.gram_texts


def _view(view: View, corpus: Corpus, pieces: Sequence[Sequence[str]]) -> ViewTexts:
    texts = tuple(sorted({piece for row in pieces for piece in row}))
    places = {text: place for place, text in enumerate(texts)}
    prompts = np.repeat(np.arange(len(pieces)), [len(row) for row in pieces]).astype(np.int64)
    points = np.array([places[piece] for row in pieces for piece in row], np.int64)
    weights = np.bincount(points, _senders_of_prompts(corpus)[prompts], minlength=len(texts))
    return ViewTexts(view, texts, prompts, points, weights.astype(np.int64))


def _senders_of_prompts(corpus: Corpus) -> IntArray:
    """Distinct units that sent each prompt, shape (prompts,)."""
    return np.diff(corpus.senders_of(np.arange(len(corpus)), len(corpus)).offsets)
