"""The canonical form of a text, its tokens and its fingerprint.

Everything that compares prompts (encoders, sketches, grams, hashes) reads the canonical form, so a sender
gains nothing by zero-width characters, look-alike letters, full-width forms, accents, case or spacing.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import Final

from confusable_homoglyphs.confusables import confusables_data

FINGERPRINT_BYTES: Final = 16

# Scripts written without spaces between words: each character is a token of its own.
# Han, kana, Thai, Lao, Myanmar, Khmer, and the Han supplements.
_UNSPACED: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003fa1f"
)
# Vowel signs and other marks, which `\\w` leaves out: without them Hindi or Tamil words would fall to pieces.
_MARKS: Final = "".join(
    chr(code) for code in range(0x0300, 0xFE00) if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
_TOKEN: Final = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}](?:[^\\W{_UNSPACED}]|[{_MARKS}])*")
_UNSPACED_CHARACTER: Final = re.compile(f"[{_UNSPACED}]")
_ASCII_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_CHUNK: Final = re.compile(r"\S+")  # a pattern that looks for the odd letter takes the square of a word's length
_ASCII_LETTER: Final = re.compile(r"[A-Za-z]")
_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")
# The blocks of combining marks that go with Latin letters; other scripts' marks are letters in their own right.
_LATIN_WITH_MARKS: Final = re.compile(
    r"([A-Za-z])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)

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


def canonical(text: str) -> str:
    """The form in which texts are compared: `clean`, with case folded.

    Idempotent: `canonical(canonical(t)) == canonical(t)`.
    """
    if text.isascii():
        return _clean_ascii(text).lower()
    return _to_fixed_point(text, fold_case=True)


def clean(text: str) -> str:
    """NFKC without invisible characters, Latin accents, look-alike letters and repeated white space; case kept.

    This is what an analyst reads. Scripts other than Latin stay as they are; only letters that imitate Latin
    ones inside a Latin word, or a whole word of such letters in a mostly Latin text, are folded to ASCII.
    """
    if text.isascii():
        return _clean_ascii(text)
    return _to_fixed_point(text, fold_case=False)


def unfolded_length(text: str) -> int:
    """Characters of a text once its ligatures are unfolded, at most of its canonical form; quick."""
    return len(text) if text.isascii() else len(unicodedata.normalize("NFKC", text))


def tokens(text: str) -> list[str]:
    """Words of a canonical text in order; one token a character in scripts that do not space their words."""
    return _TOKEN.findall(text)


def token_spans(text: str) -> list[tuple[int, int]]:
    """Start and end offset of each of `tokens(text)` in `text`."""
    return [match.span() for match in _TOKEN.finditer(text)]


def is_unspaced(token: str) -> bool:
    """Whether the token is one character of a script without spaces (about half a word)."""
    return len(token) == 1 and _UNSPACED_CHARACTER.match(token) is not None


def fingerprint(*parts: str) -> bytes:
    """16-byte BLAKE2b of canonical texts; the parts cannot run into each other.

    Two prompts are "the same" for Stillwatch exactly if their fingerprints are equal.
    """
    digest = blake2b(digest_size=FINGERPRINT_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()


def _clean_ascii(text: str) -> str:
    """What `clean` gives for ASCII text, several times faster."""
    return " ".join(_ASCII_CONTROL.sub("", text).split())


def _to_fixed_point(text: str, fold_case: bool) -> str:
    """Folding one thing can expose another (a mark before a letter, a ligature in full width): repeat."""
    for _ in range(8):
        folded = _fold(text, fold_case)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str, fold_case: bool) -> str:
    text = unicodedata.normalize("NFKC", text)
    text = text.translate(_VISIBLE)
    text = _fold_look_alikes(text)
    text = _strip_latin_accents(text)
    if fold_case:
        text = text.casefold()
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _fold_look_alikes(text: str) -> str:
    table = look_alikes()
    mostly_latin = _is_mostly_latin(text)

    def fold(match: re.Match[str]) -> str:
        chunk = match.group()
        return chunk.translate(table) if not chunk.isascii() and _imitates(chunk, table, mostly_latin) else chunk

    return _CHUNK.sub(fold, text)


def _imitates(chunk: str, table: Mapping[int, str], mostly_latin: bool) -> bool:
    """Whether its look-alikes stand for Latin letters: beside one, or all together in a mostly Latin text."""
    return _ASCII_LETTER.search(chunk) is not None or (
        mostly_latin and all(ord(character) in table for character in chunk if character.isalpha())
    )


def _is_mostly_latin(text: str) -> bool:
    """Whether at least half of the letters are ASCII; counted so that plain text is quick."""
    ascii_letters = len(_ASCII_LETTER.findall(text))
    foreign_letters = sum(map(str.isalpha, _NON_ASCII.findall(text)))
    return ascii_letters >= foreign_letters


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


def _strip_latin_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _LATIN_WITH_MARKS.sub(r"\1", decomposed))
