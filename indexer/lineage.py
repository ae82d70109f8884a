"""Campaign ids that survive a reindex: a group keeps the id of the earlier campaign it continues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
PrintArray = NDArray[np.uint8]

_CONTINUES: Final = 0.3  # share of the smaller side's prompts in common from which an id can be handed on
# A label follows the id, so a lone viral prompt must not hand on its own to a large group that came to hold it:
# what is in common must also be a fair share of the larger side, or many prompts in any case.
_FAIR_SHARE: Final = 0.05
_MANY: Final = 20

# No look-alikes (0/o, 1/l/i), so that an id read over the telephone is the same id.
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_ID_CHARACTERS: Final = 10


@dataclass(frozen=True, slots=True)
class Descent:
    """Where a group comes from. event: "born", "continued", "split" (an earlier campaign goes on in several
    groups and another of them kept its id) or "merged" (it took in further earlier campaigns).
    others: ids of the earlier campaigns concerned, besides its own.
    """

    campaign_id: str
    event: str
    others: tuple[str, ...]


def descents(
    group: IntArray, had: IntArray, fingerprints: PrintArray, groups: int, earlier: Mapping[str, int]
) -> list[Descent]:
    """Descent of each of the groups, from what is in common between them and the earlier campaigns.

    group: (prompts,) the group of each prompt, negative for none. had: (prompts,) the number of the earlier
    campaign that each was in, negative for none. fingerprints: (prompts, 16) uint8. earlier: how many prompts each
    earlier campaign had, by id, in the order of their numbers.

    Pairs are matched one to one, the greatest overlap first; ties go to the smaller id. A new group gets an
    id made from its smallest fingerprint, so the same traffic gives the same ids whatever order it came in.
    """
    overlaps = sorted(_overlaps(group, had, groups, earlier), key=lambda o: (-o[0], o[2], o[1]))
    heir: dict[int, str] = {}
    taken: set[str] = set()
    for _, number, campaign_id in overlaps:
        if number not in heir and campaign_id not in taken:
            heir[number] = campaign_id
            taken.add(campaign_id)
    related: dict[int, set[str]] = {}
    for _, number, campaign_id in overlaps:
        related.setdefault(number, set()).add(campaign_id)
    used = set(earlier) | set(heir.values())
    found: list[Descent] = []
    for number, fingerprint in enumerate(_smallest(group, fingerprints, groups)):
        others = tuple(sorted(related.get(number, set()) - {heir.get(number, "")}))
        if number in heir:
            found.append(Descent(heir[number], "merged" if others else "continued", others))
            continue
        campaign_id = _new_id(fingerprint, used)
        used.add(campaign_id)
        found.append(Descent(campaign_id, "split" if others else "born", others))
    return found


def former_ids(found: Sequence[Descent], earlier: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """For each descent the ids that lead to it now, ascending: those it was known to have absorbed, and those it
    absorbs now that no group goes on with. earlier: what each earlier campaign had absorbed.

    An id that someone wrote down must go on leading somewhere. If several groups took prompts of a campaign that
    is gone, its id leads to the first of them.
    """
    alive = {each.campaign_id for each in found}
    ids: list[tuple[str, ...]] = []
    given: set[str] = set()
    for each in found:
        gone = {other for other in each.others if other not in alive} if each.event == "merged" else set()
        known = {name for parent in (each.campaign_id, *gone) for name in earlier.get(parent, ())}
        mine = (gone | known) - alive - given
        given |= mine
        ids.append(tuple(sorted(mine)))
    return ids


def _overlaps(
    group: IntArray, had: IntArray, groups: int, earlier: Mapping[str, int]
) -> list[tuple[int, int, str]]:
    """(prompts in common, group, earlier id) of the pairs that continue one another."""
    sizes, names = np.bincount(group[group >= 0], minlength=groups).tolist(), list(earlier)
    both = (group >= 0) & (had >= 0)
    pairs, counts = np.unique(group[both] * len(names) + had[both], return_counts=True)
    found = (
        (common, *divmod(pair, len(names))) for pair, common in zip(pairs.tolist(), counts.tolist(), strict=True)
    )
    return [
        (common, number, names[before])
        for common, number, before in found
        if _continues(common, sizes[number], earlier[names[before]])
    ]


def _smallest(group: IntArray, fingerprints: PrintArray, groups: int) -> list[bytes]:
    """The smallest fingerprint of each group, none of which is empty."""
    rows = np.flatnonzero(group >= 0)
    high, low = np.ascontiguousarray(fingerprints[rows]).view(">u8").T
    order = rows[np.lexsort((low, high, group[rows]))]
    first = np.searchsorted(group[order], np.arange(groups))
    return [fingerprint.tobytes() for fingerprint in fingerprints[order[first]]]


def _continues(common: int, now: int, before: int) -> bool:
    small, large = sorted((now, before))
    return common >= _CONTINUES * small and (common >= _FAIR_SHARE * large or common >= _MANY)


def _new_id(fingerprint: bytes, used: set[str]) -> str:
    """An id of ten characters after "c-" that is not in use."""
    attempt = 0
    while True:
        digest = int.from_bytes(blake2b(fingerprint + bytes([attempt]), digest_size=8).digest(), "big")
        characters = ""
        for _ in range(_ID_CHARACTERS):
            digest, place = divmod(digest, len(_ALPHABET))
            characters += _ALPHABET[place]
        name = f"c-{characters}"
        if name not in used:
            return name
        attempt += 1
