"""What benign groups show, and what each component is worth: learned once, on simulated worlds, and shipped.

A formula for what benign traffic ought to look like flags nearly every popular template: people are neither
Poisson nor alike. So every component is compared with benign groups as the engine itself found them in worlds
of many habits, and so is the sum. `scripts/calibrate` makes the file.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import chdtri

from indexer.evidence import Measure

DoubleArray = NDArray[np.float64]

PRIOR: Final = -2.5  # log-odds that a group wide and deep enough to be tested is a campaign, before looking closer
TAIL_SHARE: Final = 0.1  # of the benign sums, the highest, that the tail beyond them is drawn from
TAIL_CONFIDENCE: Final = 0.8
WIDE_UNITS: Final = 25  # from so many on, a benign group's numbers are seldom far from what is usual
LEAST_NULL: Final = 50  # benign groups of one width, below which those of any width have to do
_RIDGE: Final = 0.01  # how firmly the beliefs are held
BELIEFS: Final = {  # nats for a step of one, as analysts of such traffic would say before they saw any
    "spread": 1.0,
    "depth": 1.0,
    "balance": 2.5,
    "clock": 4.0,
    "hours": 1.3,
    "sessions": 2.0,
    "births": 0.6,
    "payments": 1.0,
    "networks": 0.5,
    "dedication": 1.0,
    "hand-over": 4.0,
    "replication": 4.0,
    "meetings": 2.5,
    "elicitation": 2.0,
    "shared text": 0.3,
    "system prompt": 1.5,
    "disguise": 5.0,
}


class Component(msgspec.Struct, frozen=True):
    """weight: nats for a step of one on the component's scale, never negative. centre: benign groups' mean value.
    expected: median observation of benign groups.
    """

    weight: float
    centre: float
    expected: float


class Calibration(msgspec.Struct, frozen=True):
    """components by name. narrow, wide: sums of contributions of the benign groups of fewer than WIDE_UNITS units,
    and of the others, ascending. groups, campaigns, worlds: what it was learned on.
    """

    components: dict[str, Component]
    narrow: tuple[float, ...]
    wide: tuple[float, ...]
    groups: int
    campaigns: int
    worlds: int

    def contribution(self, measure: Measure) -> float:
        """Weight of evidence (nats) of one component, against a benign group of the usual kind."""
        component = self.components[measure.name]
        return component.weight * measure.certainty * (measure.value - component.centre)

    def p_value(self, total: float, units: int) -> float:
        """Chance of a benign group of about this width to have at least this sum, in (0, 1]. A dozen users look
        like anything now and then, hundreds do not.

        The conformal rank among the benign sums; beyond the TAIL_SHARE highest, whose own number could not tell
        one in a thousand from one in a million, an exponential tail fitted to their excess over where they begin
        (a generalised Pareto tail with shape 0; Pickands, 1975). It is an extrapolation, so its scale is the upper
        TAIL_CONFIDENCE bound on the mean of n exponential excesses, 2 n mean / chi2(1 - TAIL_CONFIDENCE, 2 n).
        """
        own = self.wide if units >= WIDE_UNITS else self.narrow
        sums = np.asarray(own if len(own) >= LEAST_NULL else np.sort([*self.narrow, *self.wide]))
        start = float(np.quantile(sums, 1 - TAIL_SHARE))
        if total <= start:
            return float((1 + len(sums) - np.searchsorted(sums, total, side="left")) / (1 + len(sums)))
        excess = sums[sums > start] - start
        # chdtri is the inverse of the upper tail, so this is the quantile of 1 - TAIL_CONFIDENCE.
        scale = 2 * excess.sum() / chdtri(2 * len(excess), TAIL_CONFIDENCE)
        return float(TAIL_SHARE * np.exp(-(total - start) / max(1e-9, scale)))


@cache
def load_calibration() -> Calibration:
    """The calibration shipped with the package."""
    return msgspec.json.decode((files("indexer") / "texts" / "calibration.json").read_bytes(), type=Calibration)


def q_values(p_values: Sequence[float] | DoubleArray) -> DoubleArray:
    """Least false discovery rate at which each hypothesis is rejected (Benjamini and Hochberg, 1995)."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * len(values) / np.arange(1, len(values) + 1)
    smallest = np.minimum.accumulate(steps[::-1])[::-1]
    found = np.empty(len(values))
    found[order] = np.minimum(smallest, 1.0)
    return found


def calibrate(
    benign: Sequence[Sequence[Measure]],
    planted: Sequence[Sequence[Measure]],
    units: Sequence[int],
    worlds: int,
    beliefs: Mapping[str, float] = BELIEFS,
) -> Calibration:
    """Calibration from the measures of benign groups and of planted campaigns (at least one of each), and the
    number of units of each benign group.

    A logistic regression with weights that cannot be negative, so that no component may speak against what it is
    there to show; both sides weigh the same, and a ridge draws the weights to `beliefs`, so that what these worlds
    hardly try (a trait that nearly every planted campaign shows beside others) is not unlearned. A missing
    observation counts as an ordinary benign one.
    """
    names = [each.name for each in benign[0]]
    centres = [_mean([row[place] for row in benign]) for place in range(len(names))]
    values = np.array(
        [
            [each.certainty * (each.value - centre) for each, centre in zip(row, centres, strict=True)]
            for row in (*benign, *planted)
        ]
    )
    sides = np.array([-1.0] * len(benign) + [1.0] * len(planted))
    weights = _fitted(values, sides, np.array([beliefs[name] for name in names]))
    components = {}
    for place, name in enumerate(names):
        known = [row[place] for row in benign if row[place].observed is not None]
        components[name] = Component(
            weight=round(float(weights[place]), 4),
            centre=round(centres[place], 4),
            expected=round(
                float(np.median([each.observed for each in known if each.observed is not None] or [0.0])), 4
            ),
        )
    sums = np.round(values[: len(benign)] @ weights, 4)
    is_wide = np.asarray(units) >= WIDE_UNITS
    narrow, wide = (tuple(np.sort(sums[chosen]).tolist()) for chosen in (~is_wide, is_wide))
    return Calibration(components, narrow, wide, len(benign), len(planted), worlds)


def _fitted(values: DoubleArray, sides: DoubleArray, beliefs: DoubleArray) -> DoubleArray:
    balance = np.where(sides > 0, 0.5 / max(1, (sides > 0).sum()), 0.5 / max(1, (sides < 0).sum()))

    def loss(parameters: DoubleArray) -> tuple[float, DoubleArray]:
        weights, intercept = parameters[:-1], parameters[-1]
        margin = sides * (values @ weights + intercept)
        slope = -balance * sides / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float((balance * np.logaddexp(0, -margin)).sum() + _RIDGE * ((weights - beliefs) ** 2).sum() / 2)
        return value, np.append(values.T @ slope + _RIDGE * (weights - beliefs), slope.sum())

    bounds = [(0.0, None)] * values.shape[1] + [(None, None)]
    found = minimize(loss, np.zeros(values.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    weights: DoubleArray = found.x[:-1]
    return weights


def _mean(measures: Sequence[Measure]) -> float:
    """Mean value, weighted by certainty."""
    total = sum(each.certainty for each in measures)
    return float(sum(each.certainty * each.value for each in measures) / total) if total else 0.0
