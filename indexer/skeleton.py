"""The templates of a group of texts: the fixed text they share, and the slots between."""

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from indexer.slots import describe_slot
from models.campaign import Template
from models.text import is_unspaced, token_spans

GRAM: Final = 3
_SHARES: Final = (0.8, 0.6, 0.4)  # of the sample that must hold a gram; noisy groups need the lower ones
_MIN_LITERAL_TOKENS: Final = 4
_MAX_RUNS: Final = 12
MOST_VARIANTS: Final = 3
LEAST_VARIANT: Final = 0.1  # share of the sample that a further template must explain
_LEAST_TEXTS: Final = 5  # the same, in texts

Run = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with its senders, its case-folded tokens and where they stand."""

    text: str
    senders: Set[int]
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def extract_variants(texts: Sequence[str], senders: Sequence[Set[int]], role: str) -> tuple[Template, ...]:
    """Templates of a sample of cleaned texts (`models.text.clean`), at best a few hundred. senders: the accounts
    that sent each.

    A token is literal if a 3-gram around it is in most of the texts; the commonest sequence of literal runs
    is the skeleton. Texts without anything in common give one template with an empty skeleton. Where a good part
    of the texts does not follow the first template, worded differently or another one, they are given one of their
    own, up to MOST_VARIANTS in all. The support of each counts the texts that it alone explains, or it first.
    """
    sample = [_tokenised(text, sent_by) for text, sent_by in zip(texts, senders, strict=True) if text]
    found: list[Template] = []
    rest = sample
    while len(found) < MOST_VARIANTS:
        runs = _runs_of(rest)
        follows = [bool(runs) and slot_fillings(text.words, runs) is not None for text in rest]
        if found and sum(follows) < max(_LEAST_TEXTS, LEAST_VARIANT * len(sample)):
            break
        if not runs:
            return (Template("", "", 0.0, 0.0, role, ()),)
        found.append(_describe(rest, runs, len(sample), role))
        rest = [text for text, followed in zip(rest, follows, strict=True) if not followed]
    return tuple(found)


def extract_template(texts: Sequence[str], role: str) -> Template:
    """The first of `extract_variants`, where each text comes from an account of its own."""
    return extract_variants(texts, [{number} for number in range(len(texts))], role)[0]


def slot_fillings(words: Sequence[str], runs: Sequence[Run]) -> list[tuple[int, int]] | None:
    """Token ranges of the slots of one text: before the first run, between runs, behind the last.

    Each run is taken at its first place behind the run before, so the time is linear in the text whatever a
    sender writes (a backtracking regular expression would not be). None if a run is missing.
    """
    slots: list[tuple[int, int]] = []
    place = 0
    for run in runs:
        found = _find(words, run, place)
        if found < 0:
            return None
        slots.append((place, found))
        place = found + len(run)
    return [*slots, (place, len(words))]


def _tokenised(text: str, senders: Set[int]) -> _Text:
    spans = tuple(token_spans(text))
    return _Text(text, senders, tuple(text[start:end].casefold() for start, end in spans), spans)


def _grams(words: Sequence[str]) -> list[Run]:
    return [tuple(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]


def _runs_of(sample: Sequence[_Text]) -> tuple[Run, ...]:
    """Literal runs of the sample, those that most texts share if they are long enough; () for none."""
    counts = Counter(chain.from_iterable(set(_grams(text.words)) for text in sample))
    for share in _SHARES:
        literal = {gram for gram, count in counts.items() if count >= share * len(sample) and count > 1}
        runs = _common_runs(sample, literal) if literal else ()
        if sum(map(len, runs)) >= _MIN_LITERAL_TOKENS:
            return runs
    return ()


def _common_runs(sample: Sequence[_Text], literal: Set[Run]) -> tuple[Run, ...]:
    """The commonest sequence of runs that literal grams cover; of two equally common ones the longer."""
    sequences = Counter(_literal_runs(text.words, literal) for text in sample)
    return max(sequences, key=lambda runs: (sequences[runs] if runs else 0, sum(map(len, runs)), runs), default=())


def _literal_runs(words: Sequence[str], literal: Set[Run]) -> tuple[Run, ...]:
    covered = [False] * len(words)
    for start, gram in enumerate(_grams(words)):
        if gram in literal:
            covered[start : start + GRAM] = [True] * GRAM
    runs: list[Run] = []
    current: list[str] = []
    for word, flag in zip([*words, ""], [*covered, False], strict=True):
        if flag:
            current.append(word)
        elif current:
            runs.append(tuple(current))
            current = []
    return tuple(runs[:_MAX_RUNS])


def _describe(sample: Sequence[_Text], runs: tuple[Run, ...], whole: int, role: str) -> Template:
    filled = [(text, slots) for text in sample if (slots := slot_fillings(text.words, runs)) is not None]
    places = range(len(runs) + 1)
    used = [place for place in places if 2 * sum(s[place][0] < s[place][1] for _, s in filled) >= len(filled)]
    literal_tokens = sum(map(len, runs))
    reference, reference_slots = filled[0]
    return Template(
        skeleton=_skeleton(reference, reference_slots, used),
        regex=_regex(runs, used, {place for place in places if any(s[place][0] < s[place][1] for _, s in filled)}),
        literal_share=sum(literal_tokens / len(text.words) for text, _ in filled) / len(filled),
        support=len(filled) / whole,
        role=role,
        slots=tuple(
            describe_slot(
                number,
                [_slice(text, slots[place]) for text, slots in filled],
                [text.senders for text, _ in filled],
            )
            for number, place in enumerate(used, start=1)
        ),
    )


def _skeleton(text: _Text, slots: Sequence[tuple[int, int]], used: Sequence[int]) -> str:
    """Literal text of one member, with {1}, {2} ... for the used slots and a space for the empty ones."""
    pieces: list[str] = []
    for place, (_, end) in enumerate(slots):
        if place in used:
            pieces.append("{" + str(used.index(place) + 1) + "}")
        if place + 1 < len(slots):
            first, last = end, slots[place + 1][0]
            pieces.append(text.text[text.spans[first][0] : text.spans[last - 1][1]])
    return " ".join(pieces)


def _regex(runs: Sequence[Run], used: Sequence[int], filled: Set[int]) -> str:
    """A group for each used slot. Where only a few members have text, any may stand, but it is no slot.

    Each slot is atomic with the run behind it: it ends at the run's first place, as in `slot_fillings`, and a
    hostile text cannot make the search go back.
    """
    slots = ["(.*?)" if place in used else ".*?" if place in filled else r"\W*?" for place in range(len(runs) + 1)]
    steps = [f"(?>{slot}{_run_regex(run)})" for slot, run in zip(slots, runs, strict=False)]
    return "(?is)^" + "".join(steps) + slots[-1] + "$"


def _run_regex(run: Run) -> str:
    pieces = [re.escape(run[0])]
    for before, word in pairwise(run):
        pieces.append((r"\W*" if is_unspaced(before) or is_unspaced(word) else r"\W+") + re.escape(word))
    return "".join(pieces)


def _slice(text: _Text, tokens: tuple[int, int]) -> str:
    start, end = tokens
    return text.text[text.spans[start][0] : text.spans[end - 1][1]] if start < end else ""


def _find(words: Sequence[str], run: Run, start: int) -> int:
    """First place of `run` in `words` from `start`, -1 if none. Knuth, Morris and Pratt (1977): comparing the
    run afresh at each place would be quadratic in text that repeats itself.
    """
    borders = _borders(run)
    matched = 0
    for place in range(start, len(words)):
        while matched and words[place] != run[matched]:
            matched = borders[matched - 1]
        matched += words[place] == run[matched]
        if matched == len(run):
            return place + 1 - len(run)
    return -1


def _borders(run: Run) -> list[int]:
    """For each beginning of `run`, the length of its longest proper beginning that is also its end."""
    borders = [0] * len(run)
    length = 0
    for place in range(1, len(run)):
        while length and run[place] != run[length]:
            length = borders[length - 1]
        length += run[place] == run[length]
        borders[place] = length
    return borders
