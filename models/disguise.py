"""Whether the letters of a text were dressed up, as a sender does who does not want it to be compared.

The canonical form undoes the trick, so it hides nothing; but that somebody tried is worth knowing. Ordinary text
has odd characters too: soft hyphens and invisible operators from web pages, Persian's joiners, the Greek of
formulas and genes, endings of one alphabet on names of another. What it does not have is different words, one in
twenty or more, with such a character right between two plain Latin letters.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Final

from models.letters import look_alikes
from models.text import has_ascii_controls, non_ascii

LEAST_WORDS: Final = 3  # different ones: one gene may be named again and again
LEAST_SHARE: Final = 0.05  # of the words
_WORD: Final = re.compile(r"\S+")
_CONTROLS: Final = (range(0x09), range(0x0E, 0x1C), range(0x7F, 0x85), range(0x86, 0xA0))
_JOINERS: Final = (range(0x200B, 0x200E), range(0x2060, 0x2061), range(0xFEFF, 0xFF00), range(0x034F, 0x0350))
_FILLERS: Final = (range(0x115F, 0x1161), range(0x17B4, 0x17B6), range(0x3164, 0x3165), range(0xFFA0, 0xFFA1))
_SELECTORS: Final = (
    range(0x180B, 0x1810),
    range(0xFE00, 0xFE10),
    range(0xE0000, 0xE0080),
    range(0xE0100, 0xE01F0),
)
_FULL_WIDTH: Final = (range(0xFF21, 0xFF3B), range(0xFF41, 0xFF5B))
_FOREIGN: Final = ("CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU", "DESERET", "OSAGE", "WARANG")


def is_disguised(text: str) -> bool:
    """Whether at least LEAST_WORDS different words, and LEAST_SHARE of all, have between plain Latin letters what
    draws nothing, or letters of another script or width that look like Latin ones. text: as it was sent.
    """
    if not has_ascii_controls(text) and (text.isascii() or _tricks().isdisjoint(non_ascii(text))):
        return False  # as of nearly every text
    found = [match.group() for match in _dressed_up().finditer(text)]
    return len(set(found)) >= LEAST_WORDS and len(found) >= LEAST_SHARE * sum(1 for _ in _WORD.finditer(text))


@cache
def _dressed_up() -> re.Pattern[str]:
    """A word from its first trick on."""
    nothing, alike = _class(_nothing()), _class(_alike())
    return re.compile(rf"[A-Za-z](?:[{nothing}]+|[{alike}]+)[A-Za-z]\S*")


@cache
def _tricks() -> frozenset[str]:
    """Every character that a disguise is made of; of those in ASCII some control characters."""
    return frozenset(map(chr, chain(_nothing(), _alike())))


def _nothing() -> Iterable[int]:
    return chain(*_CONTROLS, *_JOINERS, *_FILLERS, *_SELECTORS)


def _alike() -> Iterable[int]:
    return chain((code for code in look_alikes() if _is_foreign_letter(code)), *_FULL_WIDTH)


def _is_foreign_letter(code: int) -> bool:
    return chr(code).isalpha() and unicodedata.name(chr(code), "").startswith(_FOREIGN)


def _class(codes: Iterable[int]) -> str:
    """The inside of a character class, in ranges: single characters make a slow one."""
    known = set(codes)
    starts, ends = ([code for code in sorted(known) if code + step not in known] for step in (-1, 1))
    return "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in zip(starts, ends, strict=True))
