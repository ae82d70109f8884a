"""Whether the letters of a text were dressed up, as a sender does who does not want it to be compared.

The canonical form undoes the trick, so it hides nothing; but that somebody tried is worth knowing. Ordinary text
has such characters too: a mark or two that came along from a web page, Persian's joiners, one alphabet beside
another. What it does not have is every other word with one of them in between its plain letters.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

from models.text import IGNORABLE, look_alikes

LEAST_WORDS: Final = 3
LEAST_SHARE: Final = 0.05  # of the words
_WORD: Final = re.compile(r"\S+")
_FULL_WIDTH_LETTERS: Final = "\uff21-\uff3a\uff41-\uff5a"
_ODD_SPACES: Final = "\u2000-\u200a\u205f\u3000"  # besides the one that web pages are full of
_LAST_CODE: Final = 0xE01F0


def is_disguised(text: str) -> bool:
    """Whether at least LEAST_WORDS words, and LEAST_SHARE of all, have between plain Latin letters what draws
    nothing, or beside one a letter of another script or width that looks like one, or end in an odd space before
    another word. text: as it was sent.
    """
    if text.isascii():
        return False
    found = sum(1 for _ in _dressed_up().finditer(text))
    return found >= LEAST_WORDS and found >= LEAST_SHARE * sum(1 for _ in _WORD.finditer(text))


@cache
def _dressed_up() -> re.Pattern[str]:
    """A word, or two with an odd space between them; of each the first trick is found, and the word is passed."""
    nothing = _class(code for code in range(0x80, _LAST_CODE) if _draws_nothing(code))
    alike = _class(code for code in look_alikes() if _is_foreign(code)) + _FULL_WIDTH_LETTERS
    tricks = (
        f"[A-Za-z][{nothing}]+[A-Za-z]|[A-Za-z][{alike}]|[{alike}][A-Za-z]|[A-Za-z,.] ?[{_ODD_SPACES}]+ ?[A-Za-z]"
    )
    return re.compile(rf"(?:{tricks})\S*")


def _draws_nothing(code: int) -> bool:
    return unicodedata.category(chr(code)) == "Cf" or code in IGNORABLE


def _is_foreign(code: int) -> bool:
    """Whether it is a letter that is not Latin, as accents and ligatures are."""
    character = chr(code)
    return character.isalpha() and not unicodedata.name(character, "LATIN").startswith("LATIN")


def _class(codes: Iterable[int]) -> str:
    """The inside of a character class."""
    return "".join(re.escape(chr(code)) for code in sorted(codes))
