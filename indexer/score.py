"""How far the evidence speaks for a campaign, for all groups of a generation together.

Each component adds a weight of evidence (nats; I. J. Good): what it is worth was learned on benign and planted
groups (`indexer.calibration`). Their sum, over PRIOR, is the score; its rank among benign groups a p-value; and
since many groups are tested at once, alarms go by the false discovery rate among them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.calibration import PRIOR, WIDE_UNITS, Calibration, q_values
from indexer.evidence import Background, Observation, effective_number, measures
from models.campaign import Evidence, EvidenceKind, Level
from models.view import View

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LIKELY: Final = 0.85  # score
STRONG: Final = 0.95
FIRST_RATE: Final = 0.02  # chance of any alarm among groups that are all benign
LIKELY_RATE: Final = 0.06  # false discoveries among the groups of a generation, where it has any alarm at all
NARROW_RATE: Final = 0.002  # ... for a group that looks like anything now and then, see `most_rate`
STRONG_RATE: Final = 0.001
MIN_ALARM_UNITS: Final = 10  # effective number
_ROUNDING: Final = 1e-9
MIN_ALARM_DEPTH: Final = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """score: probability in [0, 1]. capability: what the prompts are after, "" if unclear. p_value: chance of a
    benign group to look at least so. false_discovery: the rate among the groups tested at which this one counts
    as a campaign; 1 for a group too narrow or shallow to be tested.
    """

    score: float
    level: Level
    capability: str
    evidence: tuple[Evidence, ...]
    p_value: float
    false_discovery: float


@dataclass(frozen=True, slots=True)
class Case:
    """What speaks for one group, before it is compared with the others. tested: whether it can be a campaign at
    all. units: how many share its work. The rest is as in Verdict.
    """

    evidence: tuple[Evidence, ...]
    p_value: float
    tested: bool
    units: int
    views: tuple[View, ...]
    capability: str


def case_of(seen: Observation, background: Background, calibration: Calibration) -> Case:
    """The case of a group."""
    evidence = _evidence(seen, background, calibration)
    units, total = len(seen.counts), _total(evidence)
    return Case(
        evidence,
        calibration.p_value(total, units),
        is_wide_and_deep(seen.counts),
        units,
        seen.views,
        seen.aim.capability,
    )


def judge(cases: Sequence[Case]) -> list[Verdict]:
    """Verdict on each group. An alarm needs width and depth, a score, and few false alarms among its like; a
    strong one needs both what is asked and who asks to speak for it.
    """
    tested = np.array([case.tested for case in cases], bool)
    rates = np.ones(len(cases))
    rates[tested] = q_values(np.array([case.p_value for case in cases], np.float64)[tested])
    scores = [score_of(_total(case.evidence)) for case in cases]
    alarmed = alarms(scores, rates, [most_rate(case.units, case.views) for case in cases])
    return [
        Verdict(
            score=score,
            level=_level(score, rate, case.evidence) if is_alarmed else Level.WATCH,
            capability=case.capability,
            evidence=case.evidence,
            p_value=case.p_value,
            false_discovery=rate,
        )
        for case, score, rate, is_alarmed in zip(cases, scores, rates.tolist(), alarmed, strict=True)
    ]


def score_of(total: float) -> float:
    """Probability of a campaign in [0, 1], given the sum of its weights of evidence (nats)."""
    return float(1.0 / (1.0 + np.exp(-(PRIOR + total))))


def is_wide_and_deep(counts: IntArray) -> bool:
    """Whether a group can be a campaign at all, by the events of each of its units: half of them or more are of
    units that sent several, and enough such units share the work.

    A unit that sent a single prompt is no part of a pool, and would make a pool of a handful of testers; nor do a
    few more prompts of others that happen to use what nine testers send all day, so it is the effective number
    that counts. Depth is asked of the events, as strangers are cheaper than work.
    """
    several = counts[counts >= MIN_ALARM_DEPTH]
    if 2 * several.sum() < counts.sum():
        return False
    return effective_number(several) >= MIN_ALARM_UNITS - _ROUNDING


def _total(evidence: Iterable[Evidence]) -> float:
    """Weight of all evidence (nats)."""
    return sum(each.weight for each in evidence)


def _evidence(seen: Observation, background: Background, calibration: Calibration) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            name=each.name,
            kind=each.kind,
            observed=each.observed,
            expected=None if each.observed is None else calibration.components[each.name].expected,
            weight=calibration.contribution(each),
            explanation=each.explanation,
        )
        for each in measures(seen, background)
    )


def most_rate(units: int, views: Sequence[View]) -> float:
    """False discovery rate up to which a group of so many units that these views found is alarmed.

    A dozen users look like anything now and then. And who shares no words but only meets may be people who paste
    what goes round: that they meet is why they are a group, so the rest of the evidence has to carry it.
    """
    return LIKELY_RATE if units >= WIDE_UNITS and set(views) != {View.MEETINGS} else NARROW_RATE


def alarms(scores: Sequence[float], rates: DoubleArray, most: Sequence[float]) -> BoolArray:
    """Which groups of a generation are alarmed, (groups,), by their scores, false discovery rates (1 for those
    that cannot be a campaign at all) and the `most_rate` of each.

    None is where the rate of each of them is above FIRST_RATE: among groups that are all benign every alarm is
    false, and the least rate is the chance of one (Simes, 1986). Traffic without a campaign is what most providers
    have on most days; it is owed more than the share of false alarms among true ones.
    """
    alarmed: BoolArray = (np.asarray(scores) >= LIKELY) & (rates <= np.asarray(most))
    return alarmed & bool((rates[alarmed] <= FIRST_RATE).any())


def _level(score: float, rate: float, evidence: Sequence[Evidence]) -> Level:
    speaking = {kind: sum(each.weight for each in evidence if each.kind is kind) for kind in EvidenceKind}
    if score >= STRONG and rate <= STRONG_RATE and min(speaking.values()) > 0:
        return Level.STRONG
    return Level.LIKELY
