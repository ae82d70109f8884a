"""What a fixed text asks for, a capability that distillers seek or everyday work, by its nearest examples.

Words alone do not tell ("score", "code" and "step" stand in many an office template), so each sentence of the text
is held against examples of either kind by the cosine of their embeddings. The half of its words that leads most
towards sought ones counts: a harmless sentence beside an instruction hides nothing, and a stray one makes nothing
suspicious. How far ordinary prompts lead tells what is much. Only English is judged: the encoders know a text of
another language by its language, and that must not count for or against anybody.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.sample import load_texts
from indexer.spacing import spaced
from models.text import canonical, tokens

FloatArray = NDArray[np.float32]
Encode = Callable[[Sequence[str]], FloatArray]

EVERYDAY: Final = "everyday"
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:;])\s+|(?<=[。！？；])|\n+|\{\d+\}")
_ENGLISH: Final = frozenset({
    "the", "a", "an", "of", "to", "and", "in", "you", "your", "is", "are", "for", "with", "it", "its", "that",
    "this", "as", "on", "be", "each", "then", "or", "not", "no", "any", "all", "if", "by", "from", "at",
    "into", "what", "how", "do", "i", "my", "me", "we", "our", "they", "their", "them", "his", "her",
    "before", "after", "every", "so", "only",
})  # fmt: skip
_MOSTLY: Final = 0.5  # share of a text's words that must be in English sentences, for it to be judged
_LEAST_TOKENS: Final = 3
_MOST_SENTENCES: Final = 200  # of one text, evenly spaced
_NEAREST: Final = 2  # examples of one aim whose mean cosine counts
_ORDINARY: Final = 500  # prompts that set the scale
CLEAR: Final = 1.0  # lead from which a capability is named


@dataclass(frozen=True, slots=True)
class Aim:
    """lead: of the nearest sought examples over the nearest everyday ones, in the half of the words where it is
        largest; in standard deviations of what ordinary prompts show, so that every encoder has the same scale; 0
        for the mean of ordinary prompts; None for a text without English words.
    capability: the sought one of the sentence that leads most, "" if the lead is not clear.
    """

    capability: str
    lead: float | None


NO_AIM: Final = Aim("", None)


@cache
def examples() -> Mapping[str, tuple[str, ...]]:
    """Examples by aim, the sought capabilities and EVERYDAY, from texts/aims.txt."""
    found: dict[str, list[str]] = {}
    for line in (files("indexer") / "texts" / "aims.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            found[list(found)[-1]].append(canonical(line))
    return {aim: tuple(lines) for aim, lines in found.items()}


def aims_of(skeletons: Sequence[str], encode: Encode) -> list[Aim]:
    """The aim of each fixed text, with {1}, {2} for its slots; NO_AIM for one that is mostly not English.

    encode: gives unit vectors (n, d) of n canonical texts.
    """
    texts = sorted({text.text for text in load_texts().background})
    ordinary = [texts[place] for place in spaced(len(texts), _ORDINARY)]
    cut = [_english(sentences(text)) for text in (*skeletons, *ordinary)]
    near = _nearness([each for text in cut for each in text], encode)
    names = list(examples())
    sought = np.array([place for place, name in enumerate(names) if name != EVERYDAY])
    leads = near[:, sought].max(axis=1) - near[:, names.index(EVERYDAY)]
    lengths = np.array([len(tokens(each)) for text in cut for each in text])
    borders = list(pairwise(np.cumsum([0, *map(len, cut)]).tolist()))
    halves = [_leading_half(leads[begin:end], lengths[begin:end]) for begin, end in borders]
    usual = np.array([lead for lead in halves[len(skeletons) :] if lead is not None])
    found = []
    for lead, (begin, end) in zip(halves[: len(skeletons)], borders, strict=False):
        if lead is None:
            found.append(NO_AIM)
            continue
        scaled = float((lead - usual.mean()) / max(1e-6, float(usual.std())))
        row = near[begin + int(leads[begin:end].argmax())]
        found.append(Aim(names[sought[row[sought].argmax()]] if scaled >= CLEAR else "", scaled))
    return found


def _leading_half(leads: FloatArray, lengths: NDArray[np.int64]) -> float | None:
    """Mean lead, by length, of the half of a text's words that leads most; None for no words."""
    if not lengths.sum():
        return None
    order = np.argsort(-leads, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    half = np.clip(lengths.sum() / 2 - before, 0, lengths[order])
    return float((leads[order] * half).sum() / half.sum())


def _english(parts: Sequence[str]) -> list[str]:
    """The sentences with one of the commonest English words, none if other ones have most of the words."""
    english = [part for part in parts if not _ENGLISH.isdisjoint(tokens(part))]
    words, all_there_are = (sum(len(tokens(part)) for part in each) for each in (english, parts))
    return english if words >= _MOSTLY * all_there_are else []


def sentences(text: str) -> list[str]:
    """Canonical sentences of a text, slots being borders; those of hardly a word only if there are no others."""
    parts = [canonical(part) for part in _SENTENCE_END.split(text) if part.strip()]
    long = [part for part in parts if len(tokens(part)) >= _LEAST_TOKENS] or [part for part in parts if part]
    return [long[place] for place in spaced(len(long), _MOST_SENTENCES)]


def _nearness(texts: Sequence[str], encode: Encode) -> FloatArray:
    """Mean cosine of each text to the _NEAREST nearest examples of each aim, (texts, aims)."""
    vectors = encode(texts)
    columns = []
    for lines in examples().values():
        cosines = np.sort(vectors @ encode(lines).T, axis=1)
        columns.append(cosines[:, -_NEAREST:].mean(axis=1))
    return np.stack(columns, axis=1)
