"""What a fixed text asks for, a capability that distillers seek or everyday work, by its nearest examples.

Words alone do not tell ("score", "code" and "step" stand in many an office template), so each sentence of the text
is held against examples of either kind by the cosine of their embeddings, and what counts is how far the best
sought sentence leads over the best everyday one. How far ordinary prompts lead tells what is much.
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
from models.text import canonical, tokens

FloatArray = NDArray[np.float32]
Encode = Callable[[Sequence[str]], FloatArray]

EVERYDAY: Final = "everyday"
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:;])\s+|(?<=[。！？；])|\n+|\{\d+\}")
_LEAST_TOKENS: Final = 3
_MOST_SENTENCES: Final = 40  # of one text, evenly spaced
_NEAREST: Final = 2  # examples of one aim whose mean cosine counts
_ORDINARY: Final = 500  # prompts that set the scale


@dataclass(frozen=True, slots=True)
class Aim:
    """capability: the sought one whose examples are nearest, "" if ordinary prompts lead as far.
    lead: of the sought examples over the everyday ones, in standard deviations of what ordinary prompts show, so
        that every encoder has the same scale; 0 for an ordinary prompt.
    """

    capability: str
    lead: float


NO_AIM: Final = Aim("", 0.0)


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
    """The aim of each fixed text, with {1}, {2} for its slots; NO_AIM for one without words.

    encode: gives unit vectors (n, d) of n canonical texts.
    """
    ordinary = sorted({text.text for text in load_texts().background})[:_ORDINARY]
    cut = [sentences(text) for text in (*skeletons, *ordinary)]
    near = _nearness([each for text in cut for each in text], encode)
    borders = np.concatenate([[0], np.cumsum([len(text) for text in cut])])
    best = np.array(
        [near[a:b].max(axis=0) if b > a else np.zeros(near.shape[1]) for a, b in pairwise(borders.tolist())]
    )
    names = list(examples())
    sought = np.array([place for place, name in enumerate(names) if name != EVERYDAY])
    leads = best[:, sought].max(axis=1) - best[:, names.index(EVERYDAY)]
    usual = leads[len(skeletons) :]
    scaled = (leads - usual.mean()) / max(1e-6, float(usual.std()))
    nearest = sought[best[:, sought].argmax(axis=1)]
    return [
        Aim(names[nearest[place]] if scaled[place] > 0 else "", float(scaled[place])) if cut[place] else NO_AIM
        for place in range(len(skeletons))
    ]


def sentences(text: str) -> list[str]:
    """Canonical sentences of a text, slots being borders; those of hardly a word only if there are no others."""
    parts = [canonical(part) for part in _SENTENCE_END.split(text) if part.strip()]
    long = [part for part in parts if len(tokens(part)) >= _LEAST_TOKENS] or [part for part in parts if part]
    places = np.unique(np.linspace(0, len(long) - 1, min(_MOST_SENTENCES, len(long))).astype(np.int64))
    return [long[place] for place in places]


def _nearness(texts: Sequence[str], encode: Encode) -> FloatArray:
    """Mean cosine of each text to the _NEAREST nearest examples of each aim, (texts, aims)."""
    vectors = encode(texts)
    columns = []
    for lines in examples().values():
        cosines = np.sort(vectors @ encode(lines).T, axis=1)
        columns.append(cosines[:, -_NEAREST:].mean(axis=1))
    return np.stack(columns, axis=1)
