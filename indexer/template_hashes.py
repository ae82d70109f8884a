"""Salted hashes of a campaign's templates, by which two providers find out whether they see the same one.

Hashed are the 4-grams of the fixed words, so that slots that were cut differently, or a sentence more, change some
of them and not all. The salt keeps tables that were made before from telling what was asked; it keeps nobody from
trying texts he thinks of, so what is shared is as secret as the template is hard to guess.
"""

import hmac
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from indexer.coverage import said_in, templates_of
from models.campaign import Campaign
from models.shared import BankEntry, Resemblance

HASH_CHARACTERS: Final = 32
MOST_HASHES: Final = 512
SALT_BYTES: Final = 16
LEAST_SHARE: Final = 0.3  # of hashes in common, from which two templates resemble one another
_GRAM: Final = 4
_SLOT: Final = re.compile(r"\{\d{1,3}\}")


def template_hashes(campaign: Campaign, salt: bytes) -> tuple[str, ...]:
    """Hex hashes of all 4-grams of fixed words in all its templates, ascending; of more than 512 the least, which
    are the same for whoever takes the least of the same grams. None for a campaign without common text.
    """
    return hashes_of(template_grams(campaign), salt)


def template_grams(campaign: Campaign) -> frozenset[str]:
    """All 4-grams of fixed words in all templates of a campaign."""
    return frozenset(
        " ".join(words[at : at + _GRAM])
        for template in templates_of(campaign)
        for words in map(said_in, _SLOT.split(template.skeleton))
        for at in range(len(words) - _GRAM + 1)
    )


def hashes_of(grams: Iterable[str], salt: bytes) -> tuple[str, ...]:
    """Their hashes, ascending; of more than 512 the least."""
    return tuple(sorted(_hash(gram, salt) for gram in grams)[:MOST_HASHES])


def resemblance(campaign_id: str, one: Collection[str], other: Collection[str]) -> Resemblance:
    """What a campaign's hashes have in common with others. Where one side kept the least hashes only, those that
    are larger than all of them are counted on neither: what is left is a fair sample of both (Beyer et al., On
    Synopses for Distinct-Value Estimation Under Multiset Operations, 2007).
    """
    kept = [max(each) for each in (one, other) if len(each) >= MOST_HASHES]
    ours, theirs = ({each for each in side if not kept or each <= min(kept)} for side in (one, other))
    return Resemblance(campaign_id, len(ours & theirs), min(len(ours), len(theirs)))


def resembled(entries: Sequence[BankEntry], campaigns: Sequence[Campaign]) -> dict[int, list[Resemblance]]:
    """By number of the entry the campaigns that have LEAST_SHARE of its hashes, the nearest first."""
    found: dict[int, list[Resemblance]] = {}
    hashed: dict[str, list[tuple[str, ...]]] = {}
    grams = [template_grams(each) for each in campaigns]
    for entry in entries:
        salt = entry.campaign.salt
        if salt not in hashed:
            hashed[salt] = [hashes_of(each, bytes.fromhex(salt)) for each in grams]
        ours = [
            resemblance(each.campaign_id, hashes, entry.campaign.hashes)
            for each, hashes in zip(campaigns, hashed[salt], strict=True)
        ]
        found[entry.number] = sorted(
            (each for each in ours if each.share >= LEAST_SHARE), key=lambda each: (-each.share, each.campaign_id)
        )
    return found


def _hash(gram: str, salt: bytes) -> str:
    return hmac.digest(salt, gram.encode("utf-8", "surrogatepass"), "sha256").hex()[:HASH_CHARACTERS]
