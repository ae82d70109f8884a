"""Letters beyond ASCII: which draw nothing, which imitate Latin ones, and what becomes of one in any text.

Most letters come to the same in every text: an é to an e, a full-width comma to a comma, a Chinese character to
itself. They can be replaced one by one. Marks, jamo and what else joins its neighbours cannot; `Letters` says so.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from confusable_homoglyphs.confusables import confusables_data

# Scripts written without spaces between words: each character is a token of its own.
# Han, kana, Thai, Lao, Myanmar, Khmer, and the Han supplements.
UNSPACED: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003fa1f"
)
_UNSPACED_CHARACTER: Final = re.compile(f"[{UNSPACED}]")
_ASCII_LETTER: Final = re.compile(r"[A-Za-z]")
# The blocks of combining marks that go with Latin letters; other scripts' marks are letters in their own right.
_LATIN_WITH_MARKS: Final = re.compile(
    r"([A-Za-z])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# They join into Hangul syllables. Whatever else joins the character before it is a mark.
_JAMO: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_END_KEPT: Final = 0x30000  # of the code points that `Letters` remembers

# Unicode's Default_Ignorable_Code_Point beyond category Cf: they draw nothing, so they only serve to hide.
_IGNORABLE: Final = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0]
    + list(range(0x180B, 0x1810))
    + list(range(0xFE00, 0xFE10))
    + list(range(0xE0100, 0xE01F0))
)


class _Visible(dict[int, str | int]):
    """For `str.translate`: a space for any white space, nothing for what draws nothing, else the character."""

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        if character.isspace():
            kept: str | int = " "
        elif unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} or code in _IGNORABLE:
            kept = ""
        else:
            kept = code
        self[code] = kept  # at most one entry a code point
        return kept


_VISIBLE: Final = _Visible()


def visible(text: str) -> str:
    """NFKC with a space for any white space and without what draws nothing."""
    return unicodedata.normalize("NFKC", text).translate(_VISIBLE)


def draws_nothing(letter: str) -> bool:
    """Whether a character is neither white space nor seen."""
    return letter.translate(_VISIBLE) == ""


@cache
def look_alikes() -> Mapping[int, str]:
    """Non-ASCII characters that Unicode's confusables table (TR39) ties to one ASCII letter."""
    table: dict[int, str] = {}
    for character, twins in confusables_data.items():
        if len(character) != 1 or character.isascii() or _UNSPACED_CHARACTER.match(character):
            continue
        letters = sorted(twin["c"] for twin in twins if len(twin["c"]) == 1 and _ASCII_LETTER.match(twin["c"]))
        if letters:
            table[ord(character)] = letters[-1]  # the lower-case one, when both cases are listed
    return table


def strip_latin_accents(text: str) -> str:
    """The text in NFC, its ASCII letters without marks."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _LATIN_WITH_MARKS.sub(r"\1", decomposed))


def finish(text: str, fold_case: bool) -> str:
    """What is left to do to a visible text whose look-alikes are folded, but for white space."""
    text = strip_latin_accents(text)
    return unicodedata.normalize("NFKC", text.casefold() if fold_case else text)


@dataclass(frozen=True, slots=True)
class Letter:
    """What becomes of a character beyond ASCII, whatever stands beside it.

    visible: at first, see `visible`. imitates: whether a look-alike is in that; whether it is folded is for its
    neighbours to say. finished: in the end, if it is not.
    """

    visible: str
    finished: str
    imitates: bool


class Letters(dict[str, Letter | None]):
    """The Letter of each character beyond ASCII, None where it depends on what stands beside it.

    plain: those met so far that stay what they are and imitate nothing.
    """

    def __init__(self, fold_case: bool) -> None:
        super().__init__()
        self.plain: set[str] = set()
        self._fold_case = fold_case

    def __missing__(self, character: str) -> Letter | None:
        letter = self._letter(character)
        if ord(character) < _END_KEPT:  # bounds what a sender of odd letters can have us remember
            self[character] = letter
            if letter == Letter(character, character, False):
                self.plain.add(character)
        return letter

    def _letter(self, character: str) -> Letter | None:
        if _joins(character) or _joins(unicodedata.normalize("NFKC", character)):
            return None
        seen = visible(character)
        finished = finish(seen, self._fold_case)
        if not self._ends(seen, finished):
            return None
        imitates = not look_alikes().keys().isdisjoint(map(ord, seen))
        if not imitates and not look_alikes().keys().isdisjoint(map(ord, finished)):
            return None
        return Letter(seen, finished, imitates)

    def _ends(self, seen: str, finished: str) -> bool:
        """Whether a visible character comes to `finished` for good, each part of it by itself."""
        return (
            visible(seen) == seen
            and visible(finished) == finished == finish(finished, self._fold_case)
            and "".join(finish(part, self._fold_case) for part in seen) == finished
            and seen.count(" ") == finished.count(" ")
            and (not self._fold_case or finished == finished.casefold())
            and not _joins(finished)
        )


def _joins(text: str) -> bool:
    """Whether a character of the text may join the one before it."""
    return any(
        unicodedata.combining(character)
        or (
            ord(character) not in _IGNORABLE
            and (unicodedata.category(character)[0] == "M" or _JAMO.match(character))
        )
        for character in text
    )
