"""How far the evidence speaks for a campaign, as a sum of log-likelihood ratios (weights of evidence).

Each component compares what was observed with what a benign group of the same kind would show, says so in
numbers, and adds a bounded weight (nats; I. J. Good's "weight of evidence"). The score is the posterior
probability under PRIOR. The constants are stated beliefs, not fits: calibration on labelled benign traffic is
a later stage, and a component whose fields are missing says "not available" and weighs nothing.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from indexer.rhythm import Rhythm
from models.campaign import Evidence, EvidenceKind, Level, Template
from models.view import View, only_system

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

PRIOR: Final = -2.0  # log-odds that a spread, recurring group is a campaign, before looking closer
LIKELY: Final = 0.5
STRONG: Final = 0.95
MIN_ALARM_UNITS: Final = 10
MIN_ALARM_DEPTH: Final = 2.0

BALANCED: Final = 0.10  # squared variation of the rates behind the counts when a scheduler hands out the work
ORGANIC: Final = 1.20  # the same for people: a few heavy users, many light ones
_HOURS: Final = 24
_HOURS_EVENTS: Final = 100.0
_MIN_PAIRS: Final = 20
_BIRTH_WINDOW_S: Final = 72 * 3600

_CAPABILITIES: Final[dict[str, re.Pattern[str]]] = {
    "reasoning": re.compile(
        r"\b(step[- ]by[- ]step|reasoning|chain of thought|think(ing)? (aloud|through|out loud)|inner monologue"
        r"|intermediate (step|conclusion)s?|derivation|working (memory|out)|thought process|monologue"
        r"|careful thinking|every inference)\b"
        r"|推理|逐步|思维链|思考过程"
    ),
    "grading": re.compile(
        r"\b(rubric|grad(e|er|ing)|scor(e|ing)|criteri(a|on)|judge?ments?|judge|reward"
        r"|(worse|better) (reply|answer|response)|rate (the|each|this))\b|评分|打分"
    ),
    "policy": re.compile(r"\b(sensitive|censor\w*|policy|neutral(ly)?|controvers\w*|political(ly)?)\b|敏感|审查"),
    "tool use": re.compile(r"\b(tool calls?|function calls?|tools?|arguments|api calls?)\b|工具调用"),
    "agentic": re.compile(r"\b(agent(ic)?|sub-?tasks?|terminal|orchestrat\w*|environment|action plan)\b|智能体"),
    "data analysis": re.compile(
        r"\b(data ?(analyst|analysis|set|frame)|statistic\w*|regression|correlation)\b|数据分析"
    ),
    "coding": re.compile(
        r"\b(code|function|program\w*|python|java\w*|unit tests?|refactor\w*|software|bug)\b|代码|编程"
    ),
}
_ELICITING: Final = frozenset({"reasoning", "grading"})


@dataclass(frozen=True, slots=True)
class Background:
    """What the whole traffic looks like, for comparison.

    hours: (24,) share of all events in each hour of the day (UTC), summing to 1.
    coverage: (24,) the same for a sender that never rests, over the hours that the traffic spans.
    rhythm: how far accounts in general keep hours of their own.
    birth_share: the largest share of all known accounts created within 72 hours.
    """

    hours: DoubleArray
    coverage: DoubleArray
    rhythm: Rhythm
    birth_share: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured on one group.

    counts: (units,) events of each unit in the group. hours: (24,) its events by hour of the day (UTC).
    rhythm: how far its accounts keep hours of their own.
    dedication: (units,) share of each unit's events that are in the group. created: creation times of its
    accounts (s), empty if unknown. payments: payment code of each account that has one.
    """

    counts: IntArray
    hours: IntArray
    rhythm: Rhythm
    dedication: DoubleArray
    created: IntArray
    payments: IntArray
    template: Template
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """score: probability in [0, 1]. capability: what the prompts are after, "" if unclear."""

    score: float
    level: Level
    capability: str
    evidence: tuple[Evidence, ...]


def judge(seen: Observation, background: Background) -> Verdict:
    """Verdict on one group. An alarm also needs width and depth: enough units, and a median above one."""
    capability = capability_of(seen.template.skeleton)
    evidence = (
        _spread(seen),
        _depth(seen),
        _balance(seen),
        _clock(seen, background),
        _hours(seen, background),
        _births(seen, background),
        _payments(seen),
        _dedication(seen),
        _elicitation(capability),
        _shared_text(seen),
    )
    score = float(1.0 / (1.0 + np.exp(-(PRIOR + sum(each.weight for each in evidence)))))
    wide_and_deep = len(seen.counts) >= MIN_ALARM_UNITS and float(np.median(seen.counts)) >= MIN_ALARM_DEPTH
    level = Level.WATCH
    if wide_and_deep and score >= LIKELY:
        level = Level.STRONG if score >= STRONG else Level.LIKELY
    return Verdict(score, level, capability, evidence)


def capability_of(skeleton: str) -> str:
    """The capability whose vocabulary the fixed text uses most, "" if none."""
    text = skeleton.casefold()
    found = {name: len(pattern.findall(text)) for name, pattern in _CAPABILITIES.items()}
    best = max(found, key=lambda name: found[name])
    return best if found[best] else ""


def count_log_likelihood(counts: IntArray, variation: float) -> float:
    """Greatest log-likelihood, over the mean, of counts >= 1 that a zero-truncated negative binomial gave.

    variation: squared coefficient of variation of the gamma-distributed rates; 0 would be Poisson.
    """
    values, multiplicity = np.unique(counts, return_counts=True)
    means = np.geomspace(0.05, max(2.0, 4.0 * float(counts.mean())), 120)[:, None]
    shape = 1.0 / variation
    log_pmf = (
        gammaln(values + shape)
        - gammaln(shape)
        - gammaln(values + 1)
        + shape * np.log(shape / (shape + means))
        + values * np.log(means / (shape + means))
    )
    log_positive = np.log1p(-np.exp(shape * np.log(shape / (shape + means))))
    return float(((log_pmf - log_positive) * multiplicity).sum(axis=1).max())


def _spread(seen: Observation) -> Evidence:
    shares = seen.counts / seen.counts.sum()
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    weight = _bounded(0.6 * np.log(effective / 15.0), -2.0, 1.5)
    text = f"{effective:.0f} accounts or organisations share the load evenly enough to count"
    return Evidence("spread", EvidenceKind.COORDINATION, effective, 15.0, weight, text)


def _depth(seen: Observation) -> Evidence:
    depth = float(np.median(seen.counts))
    weight = _bounded(2.5 * np.log2(depth / 2.5), -4.0, 2.0)
    text = f"half of them sent it {depth:g} times or more; a viral or published prompt is sent once or twice"
    return Evidence("depth", EvidenceKind.COORDINATION, depth, 1.0, weight, text)


def _balance(seen: Observation) -> Evidence:
    variation = float(np.var(seen.counts) / np.mean(seen.counts))
    ratio = count_log_likelihood(seen.counts, BALANCED) - count_log_likelihood(seen.counts, ORGANIC)
    expected = 1.0 + ORGANIC * float(seen.counts.mean())
    text = "variance over mean of the counts; near 1 when a scheduler spreads the work, large when people do"
    return Evidence(
        "balance", EvidenceKind.COORDINATION, variation, expected, _bounded(0.5 * ratio, -2.0, 3.0), text
    )


def _clock(seen: Observation, background: Background) -> Evidence:
    """Accounts that never rest, against accounts that keep hours, each in a time zone of its own."""
    observed, expected = seen.rhythm.concentration, background.rhythm.concentration
    text = "how far each account keeps to hours of its own; 0 when it is awake round the clock"
    if seen.rhythm.pairs < _MIN_PAIRS:
        return _not_available("clock", "too few events an account to see its hours")
    if expected <= 0:
        return _not_available("clock", "accounts in general keep no hours here")
    certainty = min(1.0, seen.rhythm.pairs / 100)
    weight = _bounded(5.0 * certainty * (0.5 - observed / expected), -2.0, 2.5)
    return Evidence("clock", EvidenceKind.COORDINATION, observed, expected, weight, text)


def _hours(seen: Observation, background: Background) -> Evidence:
    """Whether the group as a whole keeps hours of its own (a class, an office), which speaks against.

    The log-likelihood of its hours under a flat Dirichlet prior, so that hours of their own cost what fitting
    24 shares costs, against that of everybody's hours or of a sender that never rests. Events of one account
    are not independent, so at most _HOURS_EVENTS count.
    """
    counts = seen.hours * min(1.0, _HOURS_EVENTS / int(seen.hours.sum()))
    steady = float((counts * np.log(_smoothed(background.coverage))).sum())
    usual = float((counts * np.log(_smoothed(background.hours))).sum())
    own = float(gammaln(_HOURS) - gammaln(_HOURS + counts.sum()) + (gammaln(1 + counts) - gammaln(1)).sum())
    weight = _bounded(0.5 * (max(usual, steady) - own), -4.0, 0.0)
    text = "evenness of all its events over the hours of the day, 0 to 1; a class or an office keeps few hours"
    observed, expected = _evenness(seen.hours / seen.hours.sum()), _evenness(background.hours)
    return Evidence("hours", EvidenceKind.COORDINATION, observed, expected, weight, text)


def _smoothed(shares: DoubleArray) -> DoubleArray:
    return 0.9 * shares + 0.1 / _HOURS


def _births(seen: Observation, background: Background) -> Evidence:
    if len(seen.created) < MIN_ALARM_UNITS:
        return _not_available("births", "account creation times are not given")
    share = largest_share_within(seen.created, _BIRTH_WINDOW_S)
    expected = min(1.0, background.birth_share + 3.0 / len(seen.created))
    text = "largest share of its accounts created within 72 hours of one another"
    return Evidence(
        "births", EvidenceKind.COORDINATION, share, expected, _bounded(share - expected, 0.0, 0.5), text
    )


def _payments(seen: Observation) -> Evidence:
    if len(seen.payments) < MIN_ALARM_UNITS:
        return _not_available("payments", "payment ids are not given")
    counts = np.bincount(seen.payments)
    largest = float(counts.max() / len(seen.payments))
    each = float(len(seen.payments) / np.count_nonzero(counts))
    weight = -2.0 if largest >= 0.8 else _bounded(1.5 * np.log2(each), 0.0, 2.0)
    text = "accounts to a payment method; one method for all of them is one customer, a few for many is a pool"
    return Evidence("payments", EvidenceKind.COORDINATION, each, 1.0, weight, text)


def _dedication(seen: Observation) -> Evidence:
    share = float(np.median(seen.dedication))
    text = "median share of an account's traffic that is this; mixing in other prompts lowers it"
    return Evidence(
        "dedication", EvidenceKind.COORDINATION, share, 0.25, _bounded(share - 0.25, -0.25, 0.75), text
    )


def _elicitation(capability: str) -> Evidence:
    weight = 0.7 if capability in _ELICITING else 0.3 if capability else 0.0
    text = f"the fixed text asks for {capability}" if capability else "the fixed text names no sought capability"
    return Evidence("elicitation", EvidenceKind.CONTENT, float(bool(capability)), 0.0, weight, text)


def _shared_text(seen: Observation) -> Evidence:
    literal = float(len(re.sub(r"\{\d+\}", " ", seen.template.skeleton).split()))
    system = only_system(seen.views)
    weight = -1.0 if system else _bounded(0.5 * np.log((literal + 1.0) / 8.0), -0.5, 0.75)
    text = "words of fixed text" + (", all in the system prompt, as applications have it" if system else "")
    return Evidence("shared text", EvidenceKind.CONTENT, literal, 7.0, weight, text)


def largest_share_within(moments: IntArray, width: int) -> float:
    """Largest share of the moments that lie within `width` of each other; 0 for none."""
    if not len(moments):
        return 0.0
    ordered = np.sort(moments)
    inside = np.searchsorted(ordered, ordered + width, side="right") - np.arange(len(ordered))
    return float(inside.max() / len(ordered))


def _evenness(shares: DoubleArray) -> float:
    """Entropy of shares that sum to 1 over that of equal shares, in [0, 1]."""
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum() / np.log(len(shares)))


def _not_available(name: str, why: str) -> Evidence:
    return Evidence(name, EvidenceKind.COORDINATION, None, None, 0.0, f"not available: {why}")


def _bounded(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
