"""How sure a match is: ranks among background prompts, and what false-positive rate that can promise."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaincinv

from indexer.vectors import FloatArray

FALSE_POSITIVE_RATE: Final = 1e-3  # that a match promises, if there is background enough to promise so little
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Confidence:
    """Margins of background prompts that no threshold was set on, and what follows from them.

    margins: (n,) ascending, one prompt of each sender, so that they are as good as independent.
    alpha: the p-value up to which a prompt can be a match: FALSE_POSITIVE_RATE, or the least there can be.
    bound: the false-positive rate is below this with 95 % confidence (Clopper and Pearson, 1934).
    """

    margins: FloatArray
    alpha: float
    bound: float

    @classmethod
    def of(cls, margins: FloatArray) -> "Confidence":
        """Confidence from the ascending margins of background prompts; with none of them nothing is promised."""
        size = len(margins)
        alpha = max(FALSE_POSITIVE_RATE, 1 / (size + 1))
        rarest = margins[max(0, size - int(alpha * (size + 1)) + 1) :]  # the only ones with a p-value that low
        return cls(margins, alpha, upper_bound(int((rarest >= 0).sum()), size))

    def p_value(self, margin: float) -> float:
        """Conformal p-value: chance of a background prompt to come at least as near, in (0, 1]."""
        reaching = len(self.margins) - int(np.searchsorted(self.margins, np.float32(margin), side="left"))
        return (1 + reaching) / (1 + len(self.margins))


def upper_bound(hits: int, size: int) -> float:
    """Greatest rate, with 95 % confidence, of which `hits` in `size` independent trials were seen."""
    return float(betaincinv(hits + 1, size - hits, _CONFIDENCE)) if hits < size else 1.0
