"""Whether a reindex came to nothing useful: what was told apart has run together, or nothing is left of it.

A wrong setting or a damaged encoder shows so. Nothing of the kind should take the place of a generation that
works, in the middle of the night and with nobody looking.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

NOT_THERE: Final = -2  # a prompt that the generation before did not have
LEAST_PROMPTS: Final = 1_000  # that must be looked at, or too little can be said
GIANT: Final = 0.5  # share of all prompts in one group from which it is looked at
KNOWN: Final = 0.25  # share of its prompts that were there before, from which that says where it came from
FROM_ONE: Final = (
    0.5  # share of them that one earlier group has from which a group has grown, and not run together
)
GIANT_AT_ONCE: Final = 0.95  # the same in a first generation, which has nothing to be compared with
LEFT: Final = 0.1  # share of the prompts that had a group that must have one still


def collapse_of(now: IntArray, before: IntArray) -> str:
    """What is wrong with the groups of a new generation, "" if nothing.

    now, before: (prompts,) the group of each prompt, negative for none, and the one that it had in the generation
    before; NOT_THERE if it was not there.
    """
    if len(now) < LEAST_PROMPTS:
        return ""
    sizes = np.bincount(now[now >= 0], minlength=1)
    giant, share = int(sizes.argmax()), sizes.max() / len(now)
    known = before != NOT_THERE
    if not known.any():
        if share >= GIANT_AT_ONCE:
            return f"one group holds {share:.0%} of {len(now)} prompts"
        return ""
    inside = before[(now == giant) & known]
    largest = np.bincount(inside[inside >= 0], minlength=1).max()
    tells = len(inside) >= max(
        LEAST_PROMPTS, KNOWN * sizes.max()
    )  # a flood may well take in a few that it began with
    if share >= GIANT and tells and largest < FROM_ONE * len(inside):
        return (
            f"one group holds {share:.0%} of {len(now)} prompts, and of those that were there before, "
            f"{largest} of {len(inside)} were in one group"
        )
    had = before >= 0
    left = np.count_nonzero(now[had] >= 0)
    if had.sum() >= LEAST_PROMPTS and left < LEFT * had.sum():
        return f"of {had.sum()} prompts that were in a group, {left} still are"
    return ""
