"""How much of a template's fixed words stand in a text, in their order."""

import re
from collections.abc import Sequence
from typing import Final

from models.campaign import Campaign, Template
from models.text import canonical, tokens

_GRAM: Final = 4
_SLOT: Final = re.compile(r"\{\{?[^{}]*\}\}?")


def templates_of(campaign: Campaign) -> list[Template]:
    """Every wording of every template of a campaign."""
    return [template for each in campaign.strands or (campaign,) for template in (each.template, *each.variants)]


def covered_share(template: Template, said: Sequence[str]) -> float:
    """Share of the template's literal tokens that stand in a 4-gram it has in common with what was said (between
    slots less than four tokens apart, in all that stands there); 0 if the template is too short to tell.

    said: tokens of a text, see `said_in`.
    """
    known = {size: set(_grams(said, size)) for size in range(1, _GRAM + 1)}
    literal = covered = 0
    for words in map(said_in, _SLOT.split(template.skeleton)):
        size = min(_GRAM, max(1, len(words)))
        hit = [False] * len(words)
        for start, gram in enumerate(_grams(words, size)):
            if gram in known[size]:
                hit[start : start + size] = [True] * size
        literal += len(words)
        covered += sum(hit)
    return covered / literal if literal >= _GRAM else 0.0


def said_in(text: str) -> list[str]:
    """The tokens of a text in its canonical form."""
    return tokens(canonical(text))


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
