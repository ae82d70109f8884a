"""What a group's traffic and text show, component by component, as numbers that grow with suspicion.

Each component compares what was observed with what benign groups show. `value` is the observation on a bounded
scale on which more speaks for a campaign; what a step on it is worth is not said here but learned on benign and
planted groups, see `indexer.calibration`. A component whose fields are missing is not available, and has no value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

from indexer.aims import Aim
from indexer.replication import Replication
from indexer.rhythm import Rhythm, Sessions
from models.campaign import EvidenceKind, Template
from models.view import View, only_system

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BALANCED: Final = 0.10  # squared variation of the rates behind the counts when a scheduler hands out the work
ORGANIC: Final = 1.20  # the same for people: a few heavy users, many light ones
_MUCH_TO_SPREAD: Final = 4.0  # mean events a unit beyond the least, from which evenness counts in full
_HOURS: Final = 24
_HOURS_EVENTS: Final = 100.0
_WIDE: Final = 0.7  # logarithm of 2: thirty accounts
_OWN_HOURS: Final = -3.0  # value of a group that keeps hours of its own beyond doubt
_COMES_TOGETHER: Final = frozenset({"balance", "births", "networks"})
_SOME_UNITS: Final = 20  # from which evenness counts in full
_MIN_PAIRS: Final = 20
_MANY_PAIRS: Final = 100.0
_MIN_ACCOUNTS: Final = 8  # that must have a field before the group is judged by it
_MANY_UNITS: Final = 0.25  # of a group that sent it once are passers-by, if ...
_FEW_EVENTS: Final = 0.2  # ... they sent no more of it than this, or ...
_HALF_OF_EVENTS: Final = 0.5  # ... no more than this, and half of many others sent it ...
_OFTEN: Final = 5.0  # ... so often
_LARGE_PART: Final = 0.2  # of what a unit and all lighter ones sent: it does not share the work of many others
_A_POOL: Final = 10.0  # effective number of those who are no few any more
_MANY_OTHERS: Final = 25  # a dozen users have a heavy one, or many light ones, now and then
_DEEP: Final = 2.5  # logarithm to the base 2 of a depth, six, from which more is no evidence
_RESTLESS: Final = (
    0.6  # of everybody's keeping of hours, below which accounts are restless; the less, the more ...
)
_SURELY_RESTLESS: Final = 1.2  # ... down to this: what is below none at all is chance
_TAKING_TURNS: Final = 0.5  # of everybody's sessions, below which accounts take turns
_SURE_GAIN: Final = 12.0  # nats for a queue from which it is hardly in doubt
_WEB_PAGES: Final = 0.05  # of a group's events, that may have been copied from one with such characters
_DRESSED_UP: Final = 0.2  # more, from which it is hardly in doubt: a sender tries this trick here, that one there
ONE_COMPANY: Final = -1.0  # value of payments or networks that are one company's
_COMPANIES: Final = 2  # payment methods at most that, if they pay for ...
_OF_COMPANIES: Final = 0.8  # ... this share of accounts, are a company's or two
_ONE_SITE: Final = 0.8  # share of accounts in one network, from which it is one site
_BIRTH_WINDOW_S: Final = 72 * 3600


@dataclass(frozen=True, slots=True)
class Background:
    """What the whole traffic looks like, for comparison.

    hours: (24,) share of all events in each hour of the day (UTC), summing to 1.
    coverage: (24,) the same for a sender that never rests, over the hours that the traffic spans.
    rhythm: how far accounts in general keep hours of their own.
    birth_share: the largest share of all known accounts created within 72 hours.
    sessions: how far accounts in general send in bursts. same_network: chance that two accounts share a network,
        0 if networks are not given.
    """

    hours: DoubleArray
    coverage: DoubleArray
    rhythm: Rhythm
    birth_share: float
    sessions: Sessions
    same_network: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured on one group.

    counts: (units,) events of each unit in the group. passers_by, dominant: units left aside, here and below, that
        sent it once, and that sent a large part of it. hours: (24,) its events by hour of the day (UTC).
    rhythm: how far its accounts keep hours of their own.
    dedication: (units,) share of each unit's events that are in the group. created: creation times of its
    accounts (s), empty if unknown. payments, networks: code of each account that has one.
    sessions: how far its accounts send it in bursts. replication: how often its items are handed out.
    aim: what the template asks for. disguised: share of its events whose letters were dressed up,
        None if that is not known.
    handovers: pool swaps and pivots found in its traffic.
    """

    counts: IntArray
    passers_by: int
    dominant: int
    hours: IntArray
    rhythm: Rhythm
    dedication: DoubleArray
    created: IntArray
    payments: IntArray
    networks: IntArray
    sessions: Sessions
    replication: Replication
    template: Template
    aim: Aim
    disguised: float | None
    views: tuple[View, ...]
    handovers: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One component of one group. observed: in the unit that the explanation names, None if not available.
    value: the same on a bounded scale on which more speaks for a campaign, 0 if not available.
    certainty: how much of its worth it has, in [0, 1]: little where it rests on little, 0 if not available.
    """

    name: str
    kind: EvidenceKind
    observed: float | None
    value: float
    explanation: str
    certainty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.certainty <= 1 or (self.observed is None and self.certainty):
            raise ValueError(f"certainty of {self.name} is {self.certainty} of the observation {self.observed}")


def measures(seen: Observation, background: Background) -> tuple[Measure, ...]:
    """Every component, always in the same order.

    A class or an office gets the same work, signs up together and sits in one network: the more a group keeps
    hours of its own, or if it is one company's, and it sits down to its work as people do, the less its balance,
    its births and its networks speak for a campaign.
    """
    found = tuple(component(seen, background) for component in _COMPONENTS)
    named = {each.name: each for each in found}
    one_company = ONE_COMPANY in (named["payments"].value, named["networks"].value)
    own_hours = named["hours"].certainty * named["hours"].value / _OWN_HOURS
    doubt = (1.0 if one_company else own_hours) * _sits_down(seen, background)
    return tuple(
        replace(each, certainty=each.certainty * (1.0 - doubt))
        if each.name in _COMES_TOGETHER and each.value > 0
        else each
        for each in found
    )


def _sits_down(seen: Observation, background: Background) -> float:
    """How far its accounts come in sessions, against accounts in general, in [0, 1]; 1 if too few events tell."""
    if background.sessions.excess <= 0:
        return 1.0
    apart = 1 - min(1.0, max(0.0, seen.sessions.excess) / background.sessions.excess)
    return 1 - _share(seen.sessions.gaps / _MANY_PAIRS) * apart


def count_log_likelihood(counts: IntArray, variation: float, least: int = 1) -> float:
    """Greatest log-likelihood, over the mean, of counts that a negative binomial gave if only those >= least show.

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
    log_shown = np.log(betainc(least, shape, means / (shape + means)))  # of least or more
    return float(((log_pmf - log_shown) * multiplicity).sum(axis=1).max())


def _spread(seen: Observation, _: Background) -> Measure:
    """Enough accounts, or not. Beyond that, width is no evidence: popular extensions have more."""
    effective = effective_number(seen.counts)
    text = "accounts or organisations that share the load evenly enough to count"
    aside = [f"{seen.passers_by} that sent it once"] if seen.passers_by else []
    aside += [f"{seen.dominant} that sent a large part of it"] if seen.dominant else []
    if aside:
        text += f"; {' and '.join(aside)} do not share it and are left aside in all that is counted of accounts"
    return _coordination("spread", effective, _bounded(np.log(effective / 15.0), -1.0, _WIDE), text)


def _depth(seen: Observation, _: Background) -> Measure:
    depth = float(np.median(seen.counts))
    text = "times that half of them sent it, or more; a viral or published prompt is sent once or twice"
    return _coordination("depth", depth, _bounded(np.log2(depth), 0.0, _DEEP), text)


def _balance(seen: Observation, _: Background) -> Measure:
    """People who try a published prompt once or twice are as even as a scheduler's accounts: the less there is to
    spread, the less evenness says.
    """
    mean, least = float(np.mean(seen.counts)), 2 if seen.passers_by else 1
    ratio = count_log_likelihood(seen.counts, BALANCED, least) - count_log_likelihood(seen.counts, ORGANIC, least)
    certainty = _share((mean - least) / _MUCH_TO_SPREAD) * _share(len(seen.counts) / _SOME_UNITS)
    text = "variance over mean of the counts; near 1 when a scheduler spreads the work, large when people do"
    variation = float(np.var(seen.counts)) / mean
    return _coordination("balance", variation, float(np.tanh(ratio / 8.0)), text, certainty)


def _clock(seen: Observation, background: Background) -> Measure:
    """Accounts that never rest, against accounts that keep hours, each in a time zone of its own. To keep hours is
    no evidence against: whoever likes can.
    """
    observed, expected = seen.rhythm.concentration, background.rhythm.concentration
    if seen.rhythm.pairs < _MIN_PAIRS or expected <= 0:
        return _not_available("clock", "too few events an account to see its hours")
    certainty = _share(seen.rhythm.pairs / _MANY_PAIRS)
    text = "how far each account keeps to hours of its own; 0 when it is awake round the clock"
    value = _bounded(1 - observed / (_RESTLESS * expected), 0.0, _SURELY_RESTLESS)
    return _coordination("clock", observed, value, text, certainty)


def _hours(seen: Observation, background: Background) -> Measure:
    """Whether the group as a whole keeps hours of its own (a class, an office), which speaks against.

    The log-likelihood of its hours under a flat Dirichlet prior, so that hours of their own cost what fitting
    24 shares costs, against that of everybody's hours or of a sender that never rests. Events of one account
    are not independent, so at most _HOURS_EVENTS count.
    """
    counts = seen.hours * min(1.0, _HOURS_EVENTS / int(seen.hours.sum()))
    steady = float((counts * np.log(_smoothed(background.coverage))).sum())
    usual = float((counts * np.log(_smoothed(background.hours))).sum())
    own = float(gammaln(_HOURS) - gammaln(_HOURS + counts.sum()) + (gammaln(1 + counts) - gammaln(1)).sum())
    text = "evenness of all its events over the hours of the day, 0 to 1; a class or an office keeps few hours"
    value = _bounded(0.2 * (max(usual, steady) - own), _OWN_HOURS, 0.0)
    certainty = _share(counts.sum() / _HOURS_EVENTS)
    return _coordination("hours", _evenness(seen.hours / seen.hours.sum()), value, text, certainty)


def _sessions(seen: Observation, background: Background) -> Measure:
    """People sit down and ask several things; a scheduler's accounts take turns, unless it knows better."""
    if seen.sessions.gaps < _MIN_PAIRS or background.sessions.excess <= 0:
        return _not_available("sessions", "too few events an account to see its sessions")
    certainty = _share(seen.sessions.gaps / _MANY_PAIRS)
    value = _bounded(1 - seen.sessions.excess / (_TAKING_TURNS * background.sessions.excess), 0.0, 1.0)
    text = "how much oftener than chance an account's events follow each other within half an hour"
    return _coordination("sessions", seen.sessions.excess, value, text, certainty)


def _smoothed(shares: DoubleArray) -> DoubleArray:
    return 0.9 * shares + 0.1 / _HOURS


def _births(seen: Observation, background: Background) -> Measure:
    if len(seen.created) < _MIN_ACCOUNTS:
        return _not_available("births", "account creation times are not given")
    share = largest_share_within(seen.created, _BIRTH_WINDOW_S)
    expected = min(1.0, background.birth_share + 3.0 / len(seen.created))
    text = "largest share of its accounts created within 72 hours of one another"
    return _coordination("births", share, _bounded(share - expected, 0.0, 0.8), text)


def _payments(seen: Observation, _: Background) -> Measure:
    if len(seen.payments) < _MIN_ACCOUNTS:
        return _not_available("payments", "payment ids are not given")
    counts = np.unique(seen.payments, return_counts=True)[1]
    each = float(len(seen.payments) / len(counts))
    of_companies = np.sort(counts)[-_COMPANIES:].sum() >= _OF_COMPANIES * len(seen.payments)
    text = (
        "accounts to a payment method; one or two for all are companies that pay for their staff, a few are a pool"
    )
    return _coordination(
        "payments", each, ONE_COMPANY if of_companies else _bounded(np.log2(each), 0.0, 2.5), text
    )


def _networks(seen: Observation, background: Background) -> Measure:
    if len(seen.networks) < _MIN_ACCOUNTS or background.same_network <= 0:
        return _not_available("networks", "networks are not given")
    counts = np.bincount(seen.networks)
    lift = same_value(seen.networks) / background.same_network
    one = counts.max() >= _ONE_SITE * len(seen.networks)
    text = "times as often as in general that two of its accounts share a network; one network for all is one site"
    return _coordination(
        "networks", lift, ONE_COMPANY if one else _bounded(np.log2(max(lift, 1.0) / 2), 0.0, 2.5), text
    )


def _dedication(seen: Observation, _: Background) -> Measure:
    share = float(np.median(seen.dedication))
    text = "median share of an account's traffic that is this; mixing in other prompts lowers it"
    return _coordination("dedication", share, share - 0.25, text)


def _handover(seen: Observation, _: Background) -> Measure:
    text = "times that one set of accounts gave way to another, or moved as one to another template or model"
    return _coordination("hand-over", float(seen.handovers), float(seen.handovers > 0), text)


def _replication(seen: Observation, _: Background) -> Measure:
    text = (
        f"accounts to each item, whatever stands in the slots; each is handed out {seen.replication.times} times"
        if seen.replication.times
        else "accounts to each item, whatever stands in the slots; asked about as people choose"
    )
    value = float(np.tanh(seen.replication.gain / _SURE_GAIN))
    return _coordination("replication", seen.replication.accounts, value, text)


def _meetings(seen: Observation, _: Background) -> Measure:
    met = float(View.MEETINGS in seen.views)
    text = "1 if its accounts keep meeting in small groups, over task after task, far more than by chance"
    return _coordination("meetings", met, met, text)


def _elicitation(seen: Observation, _: Background) -> Measure:
    if seen.aim.lead is None:
        return Measure(
            "elicitation", EvidenceKind.CONTENT, None, 0.0, "not available: no fixed text in English", 0.0
        )
    what = (
        f"sought, by its nearest examples: {seen.aim.capability}"
        if seen.aim.capability
        else "nothing clearly sought"
    )
    text = f"the fixed text asks for {what}; by how much, in deviations of ordinary prompts"
    return Measure(
        "elicitation", EvidenceKind.CONTENT, seen.aim.lead, _bounded(seen.aim.lead / 2, -1.0, 1.0), text
    )


def _shared_text(seen: Observation, _: Background) -> Measure:
    literal = float(len(re.sub(r"\{\d+\}", " ", seen.template.skeleton).split()))
    value = _bounded(np.log((literal + 1.0) / 8.0), -1.0, 2.0)
    return Measure("shared text", EvidenceKind.CONTENT, literal, value, "words of fixed text")


def _role(seen: Observation, _: Background) -> Measure:
    system = only_system(seen.views)
    text = "1 if all of the fixed text is in the system prompt, as applications have it"
    return Measure("system prompt", EvidenceKind.CONTENT, float(system), -float(system), text)


def _disguise(seen: Observation, _: Background) -> Measure:
    if seen.disguised is None:
        unknown = "not available: stored before this was looked at"
        return Measure("disguise", EvidenceKind.CONTENT, None, 0.0, unknown, 0.0)
    text = "share whose letters were dressed up: characters that draw nothing, or only look like letters, in words"
    value = _bounded((seen.disguised - _WEB_PAGES) / _DRESSED_UP, 0.0, 1.0)
    return Measure("disguise", EvidenceKind.CONTENT, seen.disguised, value, text)


_COMPONENTS: Final[tuple[Callable[[Observation, Background], Measure], ...]] = (
    _spread,
    _depth,
    _balance,
    _clock,
    _hours,
    _sessions,
    _births,
    _payments,
    _networks,
    _dedication,
    _handover,
    _replication,
    _meetings,
    _elicitation,
    _shared_text,
    _role,
    _disguise,
)


def take_part(counts: IntArray) -> BoolArray:
    """Which of the units behind a group's events share its work, given how many each sent (at least 1).

    A campaign that borrows a published sentence, or that wants to look shallow, has strangers in its group who
    sent it once: many of its units, but not most of what is sent. A viral prompt, which most send once, has none.
    Nor do a few share the work that send a large part of it, and only lend their manner to the others.
    """
    working = ~_dominant(counts)
    once = working & (counts == 1)
    part: BoolArray = working & ~once
    strangers = np.count_nonzero(once)
    if strangers < _MANY_UNITS * np.count_nonzero(working) or not part.any():
        return working
    is_pool = np.count_nonzero(part) >= _MANY_OTHERS and np.median(counts[part]) >= _OFTEN
    most = (_HALF_OF_EVENTS if is_pool else _FEW_EVENTS) * counts[working].sum()
    return part if strangers <= most else working


def _dominant(counts: IntArray) -> BoolArray:
    """Of the units that the effective number of those who sent several leaves out, the lightest that sends a large
    part and all heavier ones; none if they make a pool by themselves, which the others may be there to hide.
    """
    dominant = np.zeros(len(counts), bool)
    ascending = np.sort(counts[counts > 1])
    if not len(ascending):
        return dominant
    lighter = np.arange(len(ascending))
    left_out = lighter > int(np.argmax(_diversity(ascending)))
    large = ascending > _LARGE_PART * np.cumsum(ascending)
    found = ascending[left_out & large & (lighter >= _MANY_OTHERS)]
    if len(found):
        dominant = counts >= found[0]
        if effective_number(counts[dominant]) >= _A_POOL:
            dominant[:] = False
    return dominant


def effective_number(counts: IntArray) -> float:
    """How many equal senders would be as diverse as these (at least one) with their counts (at least 1).

    The exponential of the entropy of their shares (Hill, 1973), without as many of the heaviest as makes it
    largest: an account that sends more than all others together takes nothing from them.
    """
    return float(np.exp(_diversity(np.sort(counts)).max()))


def _diversity(ascending: IntArray) -> DoubleArray:
    """Entropy (nats) of the shares of the lightest 1, 2, 3 ... of these counts."""
    totals, logs = np.cumsum(ascending), np.cumsum(ascending * np.log(ascending))
    entropies: DoubleArray = np.log(totals) - logs / totals
    return entropies


def same_value(values: IntArray) -> float:
    """Chance that two different ones of at least two values are equal."""
    counts = np.unique(values, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(values) * (len(values) - 1)))


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


def _coordination(name: str, observed: float, value: float, text: str, certainty: float = 1.0) -> Measure:
    return Measure(name, EvidenceKind.COORDINATION, observed, value, text, certainty)


def _not_available(name: str, why: str) -> Measure:
    return Measure(name, EvidenceKind.COORDINATION, None, 0.0, f"not available: {why}", 0.0)


def _share(value: float) -> float:
    return _bounded(value, 0.0, 1.0)


def _bounded(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
