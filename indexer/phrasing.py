"""Instructions that are worded afresh for each request: choice of words, order of clauses, fillers, language."""

from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

from indexer.wording import SENTENCE_END, draw, expand, half_expanded, pieces

LANGUAGES: Final = ("zh", "es", "de", "fr")
_PARAPHRASED: Final = 3  # the level from which whole sentences have variants


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One instruction as a sender words it.

    sentences: for each sentence its variants, patterns with choices `{a|b}` left open; each request draws one
        variant and one alternative of each choice. reorder: whether the sentences come in any order.
    filler: chance of a filler word before each word. join: what stands between two sentences.
    """

    sentences: tuple[tuple[str, ...], ...]
    reorder: bool = False
    filler: float = 0.0
    join: str = " "

    def say(self, rng: Random) -> list[str]:
        """The sentences as worded for one request."""
        said = [_with_fillers(expand(rng.choice(variants), rng), self.filler, rng) for variants in self.sentences]
        if self.reorder:
            rng.shuffle(said)
        return said


def phrasing(
    rng: Random, task: str, words: tuple[int, int], level: int, reorder: bool = False, filler: float = 0.0
) -> Phrasing:
    """A phrasing of an English instruction with about `words` (least, most) words.

    level: 0, every request has the same words; 1, a third of the choices of words is open; 2, all of them;
    3, and each sentence has up to three variants.
    """
    sections = ["role", f"task {task}", *["constraint"] * 8, "output", "closing"]
    goal = rng.randint(*words)
    chosen: list[tuple[int, tuple[str, ...]]] = []
    count = 0
    for place in [1, 0, *rng.sample(range(2, len(sections)), len(sections) - 2)]:
        if count >= goal:
            break
        variants = rng.sample(pieces()[sections[place]], 1 if level < _PARAPHRASED else rng.randint(2, 3))
        chosen.append(
            (
                place,
                tuple(half_expanded(each, min(1.0, level / 2 if level != 1 else 1 / 3), rng) for each in variants),
            )
        )
        count += len(expand(variants[0], rng).split())
    return Phrasing(tuple(variants for _, variants in sorted(chosen)), reorder, filler)


def brief(rng: Random) -> Phrasing:
    """A wrapper of five to eight words."""
    return Phrasing(((draw("brief", rng),),))


def foreign(rng: Random, language: str, level: int) -> Phrasing:
    """The instruction in another language, four to seven sentences."""
    lines = pieces()[f"language {language}"]
    kept = sorted(rng.sample(range(1, len(lines) - 1), rng.randint(2, len(lines) - 3)))
    chosen = [lines[0], *(lines[place] for place in kept), lines[-1]]
    return Phrasing(
        tuple((half_expanded(each, min(1.0, level / 2), rng),) for each in chosen),
        join="" if language == "zh" else " ",
    )


def fixed(text: str) -> Phrasing:
    """Always these words."""
    return Phrasing(tuple((sentence,) for sentence in SENTENCE_END.split(text)))


def halves(sentences: list[str]) -> tuple[list[str], list[str]]:
    """The sentences in two parts; a single one is cut in its middle."""
    if len(sentences) == 1:
        words = sentences[0].split()
        middle = ceil(len(words) / 2)
        return [" ".join(words[:middle])], [" ".join(words[middle:])]
    middle = ceil(len(sentences) / 2)
    return sentences[:middle], sentences[middle:]


def _with_fillers(sentence: str, rate: float, rng: Random) -> str:
    if not rate:
        return sentence
    words: list[str] = []
    for word in sentence.split():
        if rng.random() < rate:
            words.append(draw("filler", rng))
        words.append(word)
    return " ".join(words)
