"""Salted hashes of a campaign's templates, by which two providers find out whether they see the same one.

Hashed are the 4-grams of the fixed words, so that slots that were cut differently, or a sentence more, change some
of them and not all. The salt keeps tables that were made before from telling what was asked; it keeps nobody from
trying texts he thinks of, so what is shared is as secret as the template is hard to guess.
"""

import hmac
import re
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from indexer.coverage import said_in, templates_of
from models.campaign import Campaign

HASH_CHARACTERS: Final = 32
MOST_HASHES: Final = 512
SALT_BYTES: Final = 16
_GRAM: Final = 4
_SLOT: Final = re.compile(r"\{\d{1,3}\}")


def template_hashes(campaign: Campaign, salt: bytes) -> tuple[str, ...]:
    """Hex hashes of all 4-grams of fixed words in all its templates, ascending; of more than 512 the least, which
    are the same for whoever takes the least of the same grams. None for a campaign without common text.
    """
    grams = {
        " ".join(words[at : at + _GRAM])
        for template in templates_of(campaign)
        for words in map(said_in, _SLOT.split(template.skeleton))
        for at in range(len(words) - _GRAM + 1)
    }
    return tuple(sorted(_hash(gram, salt) for gram in grams)[:MOST_HASHES])


def resemblance(one: Collection[str], other: Collection[str]) -> float:
    """Share of the smaller set that the other has too, in [0, 1]; 0 if either is empty."""
    least = min(len(one), len(other))
    return len(set(one) & set(other)) / least if least else 0.0


def _hash(gram: str, salt: bytes) -> str:
    return hmac.new(salt, gram.encode("utf-8", "surrogatepass"), sha256).hexdigest()[:HASH_CHARACTERS]
