"""The canonical form of a text, its tokens and its fingerprint.

Everything that compares prompts (encoders, sketches, grams, hashes) reads the canonical form, so a sender
gains nothing by zero-width characters, look-alike letters, full-width forms, accents, case or spacing.
"""

import re
import unicodedata
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from models.letters import UNSPACED, Letters, finish, look_alikes, visible

FINGERPRINT_BYTES: Final = 16

# Vowel signs and other marks, which `\\w` leaves out: without them Hindi or Tamil words would fall to pieces.
_MARKS: Final = "".join(
    chr(code) for code in range(0x0300, 0xFE00) if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
_TOKEN: Final = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+(?:[{_MARKS}]+[^\\W{UNSPACED}]*)*")
_ASCII_TOKEN: Final = re.compile(r"\w+", re.ASCII)
_BEYOND_ASCII: Final = re.compile(f"[\\w{UNSPACED}{_MARKS}]")  # what else a token may hold
_UNSPACED_CHARACTER: Final = re.compile(f"[{UNSPACED}]")
_CHUNK: Final = re.compile(r"\S+")  # a pattern that looks for the odd letter takes the square of a word's length
_ASCII_LETTER: Final = re.compile(r"[A-Za-z]")
_ASCII: Final = bytes(range(128))
_ASCII_LETTERS: Final = bytes(code for code in _ASCII if chr(code).isalpha())
_ASCII_CONTROLS: Final = bytes(code for code in _ASCII if not chr(code).isprintable() and not chr(code).isspace())

# Not all that is unassigned: there are hundreds of ranges of it.
_PADDING: Final = re.compile(
    "[\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\u3164\\ue000-\\uf8ff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\U000e0000-\\U0010ffff]+"
)

_PASSES: Final = 8
_MOST_REPLACED: Final = 64  # different letters; each costs a look at the whole text
_LETTERS: Final = {fold_case: Letters(fold_case) for fold_case in (False, True)}


def canonical(text: str) -> str:
    """The form in which texts are compared: `clean`, with case folded.

    Idempotent: `canonical(canonical(t)) == canonical(t)`.
    """
    if text.isascii():
        return _clean_ascii(text).lower()
    quick = _letter_by_letter(text, fold_case=True)
    return _to_fixed_point(text, fold_case=True) if quick is None else quick


def clean(text: str) -> str:
    """NFKC without invisible characters, Latin accents, look-alike letters and repeated white space; case kept.

    This is what an analyst reads. Scripts other than Latin stay as they are; only letters that imitate Latin
    ones inside a Latin word, or a whole word of such letters in a mostly Latin text, are folded to ASCII.
    """
    if text.isascii():
        return _clean_ascii(text)
    quick = _letter_by_letter(text, fold_case=False)
    return _to_fixed_point(text, fold_case=False) if quick is None else quick


def without_padding(text: str) -> str:
    """The text without what stands at its ends and is not seen: white space, and nearly all characters that draw
    nothing. Quick: a sender may have put a million of them there.
    """
    before, after = _PADDING.match(text), _PADDING.match(text[::-1])
    begin, end = before.end() if before else 0, len(text) - (after.end() if after else 0)
    return text[begin:end]


def unfolded_length(text: str) -> int:
    """Characters of a text once its ligatures are unfolded, at most of its canonical form; quick."""
    return len(text) if text.isascii() else len(unicodedata.normalize("NFKC", text))


def tokens(text: str) -> list[str]:
    """Words of a canonical text in order; one token a character in scripts that do not space their words."""
    return _pattern_for(text).findall(text)


def token_spans(text: str) -> list[tuple[int, int]]:
    """Start and end offset of each of `tokens(text)` in `text`."""
    return [match.span() for match in _pattern_for(text).finditer(text)]


def _pattern_for(text: str) -> re.Pattern[str]:
    """What finds the tokens of this text: where all beyond ASCII is quotes, dashes and symbols, a quicker one."""
    return _ASCII_TOKEN if text.isascii() or not _BEYOND_ASCII.search(non_ascii(text)) else _TOKEN


def is_unspaced(token: str) -> bool:
    """Whether the token is one character of a script without spaces (about half a word)."""
    return len(token) == 1 and _UNSPACED_CHARACTER.match(token) is not None


def fingerprint(*parts: str) -> bytes:
    """16-byte BLAKE2b of canonical texts; the parts cannot run into each other.

    Two prompts are "the same" for Stillwatch exactly if their fingerprints are equal.
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    told_apart = b"".join(len(each).to_bytes(8, "little") + each for each in encoded)
    return blake2b(told_apart, digest_size=FINGERPRINT_BYTES).digest()


def non_ascii(text: str) -> str:
    """The characters of the text beyond ASCII, in order; quick."""
    return text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")


def has_ascii_controls(text: str) -> bool:
    """Whether the text holds ASCII characters that neither draw anything nor are white space; quick."""
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded.translate(None, _ASCII_CONTROLS)) < len(encoded)


def _clean_ascii(text: str) -> str:
    """What `clean` gives for ASCII text, several times faster."""
    if not text:
        return ""
    return " ".join(_without_controls(text).split())


def _without_controls(text: str) -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    kept = encoded.translate(None, _ASCII_CONTROLS)
    return text if len(kept) == len(encoded) else kept.decode("utf-8", "surrogatepass")


def _letter_by_letter(text: str, fold_case: bool) -> str | None:
    """What `_to_fixed_point` gives, several times faster, or None for a text with letters that join others."""
    letters = _LETTERS[fold_case]
    text = _without_controls(text)
    for _ in range(_PASSES):
        before = text
        met = set(non_ascii(text)) - letters.plain
        known = [(character, letter) for character in met if (letter := letters[character]) is not None]
        if len(known) < len(met) or len(known) > _MOST_REPLACED:
            return None
        if not any(letter.imitates for _, letter in known):
            for character, letter in known:
                text = text.replace(character, letter.finished)
            text = " ".join(text.split())
            return text.casefold() if fold_case else text  # all of it is what one more pass would leave as it is
        for character, letter in known:
            if letter.visible != character:
                text = text.replace(character, letter.visible)
        text = _fold_look_alikes_in_words(text)
        for character in set(non_ascii(text)) - letters.plain:
            letter = letters[character]
            if letter is None or letter.visible != character:
                return None
            text = text.replace(character, letter.finished)
        text = text.casefold() if fold_case else text
        if text.isascii() or text == before:
            break
    return text


def _fold_look_alikes_in_words(text: str) -> str:
    """`_fold_look_alikes`, with one space between words."""
    table = look_alikes()
    mostly_latin = _is_mostly_latin(text)
    return " ".join(
        word if word.isascii() or not _imitates(word, table, mostly_latin) else word.translate(table)
        for word in text.split()
    )


def _to_fixed_point(text: str, fold_case: bool) -> str:
    """Folding one thing can expose another (a mark before a letter, a ligature in full width): repeat."""
    for _ in range(_PASSES):
        folded = _fold(text, fold_case)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str, fold_case: bool) -> str:
    return " ".join(finish(_fold_look_alikes(visible(text)), fold_case).split())


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
    encoded = text.encode("utf-8", "surrogatepass")
    ascii_letters = len(encoded) - len(encoded.translate(None, _ASCII_LETTERS))
    return ascii_letters >= sum(map(str.isalpha, non_ascii(text)))
