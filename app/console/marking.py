"""Marking: which words of a prompt are a template's, and which fill its slots."""

import re
from difflib import SequenceMatcher
from typing import Final

from models.campaign import Template

_WORD: Final = re.compile(r"\w+")
_SLOT: Final = re.compile(r"\{\d{1,3}\}")
_MOST: Final = 150  # words of a template that are looked for; comparing takes the square of them
LEAST_RUN: Final = 3  # words; "of the" may stand anywhere


def fixed_words(text: str, template: Template) -> list[tuple[str, bool]]:
    """The text in pieces, and of each whether it is the template's. Runs of words that stand in both in the same
    order are, whatever their case.
    """
    words = list(_WORD.finditer(text))
    fixed = [word.casefold() for word in _WORD.findall(_SLOT.sub(" ", template.skeleton))[:_MOST]]
    found = SequenceMatcher(None, [each.group().casefold() for each in words], fixed, autojunk=False)
    pieces: list[tuple[str, bool]] = []
    end = 0
    for match in found.get_matching_blocks():
        if match.size < LEAST_RUN:
            continue
        begin, until = words[match.a].start(), words[match.a + match.size - 1].end()
        pieces += [(text[end:begin], False), (text[begin:until], True)]
        end = until
    return [piece for piece in (*pieces, (text[end:], False)) if piece[0]]
