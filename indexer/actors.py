"""Who sends what: an actor is a group of accounts with a script and habits, made of independent axes.

Attackers, benign look-alikes and ordinary users are all actors; one function each enrols their accounts,
schedules their requests and composes their prompts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, cycle
from math import exp, log
from random import Random
from typing import Final

from indexer.clock import Clock, Window, draw_hours, draw_zone
from indexer.evasion import Evasion, evade
from indexer.phrasing import Phrasing, halves
from indexer.speech import Speech

BACKGROUND: Final = "background"
MODELS: Final = {"m-4": 42, "m-4-mini": 33, "m-3": 13, "m-5": 12}  # weights
_MODEL_NAMES: Final = tuple(MODELS)
_MODEL_WEIGHTS: Final = tuple(accumulate(MODELS.values()))
_NETWORKS: Final = tuple(f"AS{64500 + number}" for number in range(400))
_NETWORK_WEIGHTS: Final = tuple(accumulate(1 / (rank + 2) for rank in range(len(_NETWORKS))))  # Zipf
_TWO_YEARS_DAYS: Final = 730
_WAITING: Final = 40  # requests for which a queue has a filling ready
_EVASION_RATE: Final = 0.5  # chance of each trick of an actor, request by request


class Load(StrEnum):
    """How an actor's requests are dealt to its accounts; each account gets at least one if there are enough."""

    ROUND_ROBIN = "round_robin"
    POISSON = "poisson"
    HEAVY_TAIL = "heavy_tail"


class Age(StrEnum):
    """FRESH accounts were made together within a day, shortly before; AGED ones over the two years before;
    MIXED ones some so, some so; RECENT ones over the five weeks before.
    """

    FRESH = "fresh"
    AGED = "aged"
    MIXED = "mixed"
    RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Form:
    """Fixed text. parts: the literal pieces in order; there is a slot between each two of them."""

    parts: tuple[str, ...]
    system: str = ""


class Place(StrEnum):
    """Where in a request an instruction stands, seen from its content. ENDS: half before and half behind it.
    SPLIT: half in the system text, half before the content. TURNS: over several messages of the user.
    """

    HEAD = "head"
    TAIL = "tail"
    MIDDLE = "middle"
    ENDS = "ends"
    SYSTEM = "system"
    SPLIT = "split"
    TURNS = "turns"


@dataclass(frozen=True, slots=True)
class Script:
    """What an actor says.

    phrasings: instructions that are worded afresh for each request; one is drawn for each. Without any, `forms`.
    place: where they stand.

    forms: the fixed texts; one is drawn for each request, the one at rank r with weight r ** -zipf.
    fillings: what goes into slots; without any, each slot takes an ordinary user's question.
    skeleton: least and greatest share of the words that are fixed; slots are filled up with pasted passages
        until it holds. None leaves each slot with one filling.
    samples: how many requests get the same filling, pasted passages and all, whoever sends them: a queue that
        wants so many answers.
    """

    forms: tuple[Form, ...] = ()
    fillings: tuple[str, ...] = ()
    skeleton: tuple[float, float] | None = None
    zipf: float = 0.0
    phrasings: tuple[Phrasing, ...] = ()
    place: Place = Place.HEAD
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Pivot:
    """From `at` (share of the simulated time) on, a share of the accounts has another script, model, or both."""

    at: float
    share: float = 0.5
    script: Script | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A group of accounts that act alike.

    kind: what truth calls its requests. script: None for one that only sends ordinary prompts.
    prompts: mean requests of this kind an account. mixing: share of the accounts' requests that are ordinary
        prompts instead (their kind is background), in [0, 1).
    zone: hours ahead of UTC that all live at; None spreads them over the world. peak: when a BURST has its
        middle, as a share of the simulated time.
    one_organisation: whether all accounts carry one org_id. networks: how many networks they use, 0 for as many
        as everybody. sharing: accounts to a payment id, 0 for a payment of their own or none.
    sigma: of the lognormal activity of HEAVY_TAIL accounts.
    evasions: each request uses each of them with chance 1/2.
    swap_at: share of the time after which a second pool of accounts takes over; each has half the accounts.
    """

    kind: str
    accounts: int
    prompts: float
    script: Script | None = None
    mixing: float = 0.0
    load: Load = Load.HEAVY_TAIL
    clock: Clock = Clock.HUMAN
    zone: float | None = None
    peak: float = 0.5
    age: Age = Age.AGED
    one_organisation: bool = False
    networks: int = 0
    sharing: int = 0
    evasions: tuple[Evasion, ...] = ()
    sigma: float = 1.3
    swap_at: float | None = None
    pivot: Pivot | None = None

    @property
    def events(self) -> int:
        """Requests in all, the mixed-in ones among them."""
        return round(self.accounts * self.prompts / (1 - self.mixing))


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    created_at: ISO 8601. zone: hours ahead of UTC. model: its usual one. system: its own system prompt, mostly "".
    sends_messages: whether its requests carry `messages`. unspaced: whether it writes a language without spaces.
    pivots: whether it takes part in its actor's pivot.
    """

    account_id: str
    created_at: str
    org_id: str | None
    payment_id: str | None
    network: str
    zone: float
    model: str
    system: str
    sends_messages: bool
    unspaced: bool
    pivots: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """Accounts of an actor that are in use at the same time."""

    accounts: tuple[Account, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class Request:
    """What one account sends once. kind: what it really is. turns: the user's messages if there are several,
    and then `user` is empty.
    """

    kind: str
    system: str
    user: str
    model: str
    turns: tuple[str, ...] = ()


def enrol(actor: Actor, start: datetime, window: Window, speech: Speech, rng: Random) -> tuple[Pool, ...]:
    """The actor's accounts, in one pool or, if it swaps them, in two that follow each other."""
    windows = [window]
    if actor.swap_at is not None:
        swap = window.at(actor.swap_at)
        windows = [Window(window.begin, swap), Window(swap, window.end)]
    org_id = _opaque("o", rng) if actor.one_organisation else None
    networks = rng.sample(_NETWORKS, actor.networks)
    size = max(1, actor.accounts // len(windows))
    pools: list[Pool] = []
    for each in windows:
        birthday = start + timedelta(hours=each.begin) - timedelta(days=rng.uniform(1.5, 12))
        payments = [_opaque("p", rng) for _ in range(1 + size // actor.sharing)] if actor.sharing else []
        accounts = tuple(
            Account(
                account_id=_opaque("a", rng),
                created_at=_birth(actor.age, start, birthday, rng).isoformat(timespec="seconds"),
                org_id=org_id,
                payment_id=payments[number // actor.sharing] if payments else _own_payment(rng),
                network=rng.choice(networks) if networks else _draw_network(rng),
                zone=draw_zone(rng) if actor.zone is None else actor.zone,
                model=_draw_model(rng),
                system=_own_system(speech, rng) if actor.script is None else "",
                sends_messages=rng.random() < 0.3,
                unspaced=actor.script is None and rng.random() < 0.05,
                pivots=actor.pivot is not None and number < actor.pivot.share * size,
            )
            for number in range(size)
        )
        pools.append(Pool(accounts, each))
    return tuple(pools)


def schedule(actor: Actor, pools: tuple[Pool, ...], whole: Window, rng: Random) -> Iterator[tuple[float, Account]]:
    """When (hours since the world began) which account sends something; `actor.events` requests, unsorted."""
    left = actor.events
    for pool in pools:
        share = (pool.window.end - pool.window.begin) / (whole.end - whole.begin)
        events = left if pool is pools[-1] else round(actor.events * share)
        left -= events
        yield from _pool_schedule(actor, pool, events, whole.at(actor.peak), rng)


def compose(
    actor: Actor, account: Account, pivoted: bool, speech: Speech, queue: list[str], rng: Random
) -> Request:
    """What the account sends. pivoted: whether the time of the actor's pivot has come. queue: fillings that wait
    to be handed out, of a script with `samples`; kept by the caller from one request of the actor to the next.
    """
    pivot = actor.pivot if pivoted and account.pivots else None
    model = account.model if rng.random() < 0.85 else _draw_model(rng)
    if actor.script is None or rng.random() < actor.mixing:
        return Request(BACKGROUND, account.system, speech.prompt(rng, account.unspaced), model)
    script = pivot.script if pivot and pivot.script else actor.script
    if pivot and pivot.model:
        model = pivot.model
    if script.phrasings:
        return _worded(actor, script, model, speech, queue, rng)
    form = _draw_form(script, rng)
    user = _evaded(fill(form, script, speech, queue, rng), actor, speech, rng)
    return Request(actor.kind, form.system, user, model)


def _evaded(text: str, actor: Actor, speech: Speech, rng: Random) -> str:
    for evasion in actor.evasions:
        if rng.random() < _EVASION_RATE:
            text = evade(text, evasion, speech, rng)
    return text


def _worded(actor: Actor, script: Script, model: str, speech: Speech, queue: list[str], rng: Random) -> Request:
    """A request with an instruction in the words of the moment."""
    phrasing = rng.choice(script.phrasings)
    sentences = phrasing.say(rng)
    words = _content_words(script, sum(len(each.split()) for each in sentences), rng)
    content = _filling(script, words, speech, queue, rng)
    system, turns = _placed(sentences, content, script.place, phrasing.join, rng)
    said = tuple(_evaded(turn, actor, speech, rng) for turn in turns)
    return Request(actor.kind, system, said[0] if len(said) == 1 else "", model, said if len(said) > 1 else ())


def _placed(sentences: list[str], content: str, place: Place, join: str, rng: Random) -> tuple[str, list[str]]:
    """System text and the user's messages."""
    first, second = (join.join(part) for part in halves(sentences))
    whole = join.join(sentences)
    match place:
        case Place.HEAD:
            return "", [f"{whole}\n\n{content}"]
        case Place.TAIL:
            return "", [f"{content}\n\n{whole}"]
        case Place.ENDS:
            return "", [f"{first}\n\n{content}\n\n{second}"]
        case Place.MIDDLE:
            words = content.split(" ")
            cut = rng.randint(len(words) // 4, 3 * len(words) // 4)
            return "", [f"{' '.join(words[:cut])}\n\n{whole}\n\n{' '.join(words[cut:])}"]
        case Place.SYSTEM:
            return whole, [content]
        case Place.SPLIT:
            return first, [f"{second}\n\n{content}"]
        case Place.TURNS:
            return "", [first, content, second]


def fill(form: Form, script: Script, speech: Speech, queue: list[str], rng: Random) -> str:
    """The form's user text with every slot filled as the script says. queue: as in `compose`."""
    slots = len(form.parts) - 1
    if slots == 0:
        return form.parts[0]
    least_words = _content_words(script, sum(len(part.split()) for part in form.parts), rng) // slots
    pieces = [form.parts[0]]
    for part in form.parts[1:]:
        pieces += [_filling(script, least_words, speech, queue, rng), part]
    return "".join(pieces)


def _content_words(script: Script, fixed: int, rng: Random) -> int:
    """Words that slots need for the script's share of fixed ones, 0 if it does not care."""
    if script.skeleton is None:
        return 0
    share = exp(rng.uniform(*map(log, script.skeleton)))
    return round(fixed * (1 / share - 1))


def _filling(script: Script, least_words: int, speech: Speech, queue: list[str], rng: Random) -> str:
    """The next filling: of a queue, one of the _WAITING next in any order."""
    if script.samples == 1:
        return _new_filling(script, least_words, speech, rng)
    while len(queue) < _WAITING:
        queue += [_new_filling(script, least_words, speech, rng)] * script.samples
    return queue.pop(rng.randrange(len(queue)))


def _new_filling(script: Script, least_words: int, speech: Speech, rng: Random) -> str:
    text = rng.choice(script.fillings) if script.fillings else speech.question(rng)
    missing = least_words - len(text.split())
    return text if missing <= 0 else f"{text}\n\n{speech.passage(rng, missing)}"


def _draw_form(script: Script, rng: Random) -> Form:
    if script.zipf == 0:
        return rng.choice(script.forms)
    return rng.choices(script.forms, [(rank + 1) ** -script.zipf for rank in range(len(script.forms))])[0]


def _pool_schedule(
    actor: Actor, pool: Pool, events: int, peak: float, rng: Random
) -> Iterator[tuple[float, Account]]:
    if actor.load is Load.ROUND_ROBIN and not actor.clock.is_local:
        hours = sorted(draw_hours(events, actor.clock, 0, pool.window, peak, rng))
        yield from zip(hours, cycle(pool.accounts), strict=False)
        return
    for account, count in zip(pool.accounts, _deal(events, len(pool.accounts), actor, rng), strict=True):
        for hour in draw_hours(count, actor.clock, account.zone, pool.window, peak, rng):
            yield hour, account


def _deal(events: int, accounts: int, actor: Actor, rng: Random) -> list[int]:
    """Requests of each account, `events` in all."""
    if actor.load is Load.ROUND_ROBIN:
        each, rest = divmod(events, accounts)
        return [each + (number < rest) for number in range(accounts)]
    sigma = actor.sigma if actor.load is Load.HEAVY_TAIL else 0.0
    weights = [rng.lognormvariate(0, sigma) for _ in range(accounts)]
    least = min(1, events // accounts)
    drawn = Counter(rng.choices(range(accounts), weights, k=events - least * accounts))
    return [least + drawn[number] for number in range(accounts)]


def _birth(age: Age, start: datetime, birthday: datetime, rng: Random) -> datetime:
    if age is Age.RECENT:
        return start - timedelta(days=rng.uniform(1, 35))
    if age is Age.FRESH or (age is Age.MIXED and rng.random() < 0.5):
        return birthday + timedelta(hours=rng.uniform(0, 24))
    return start - timedelta(days=_TWO_YEARS_DAYS * rng.random() ** 1.3)  # the provider grows: more are recent


def _own_payment(rng: Random) -> str | None:
    return _opaque("p", rng) if rng.random() < 0.55 else None


def _own_system(speech: Speech, rng: Random) -> str:
    """A few people write a system prompt for themselves."""
    return speech.passage(rng, rng.randint(8, 40)) if rng.random() < 0.04 else ""


def _draw_network(rng: Random) -> str:
    return rng.choices(_NETWORKS, cum_weights=_NETWORK_WEIGHTS)[0]


def _draw_model(rng: Random) -> str:
    return rng.choices(_MODEL_NAMES, cum_weights=_MODEL_WEIGHTS)[0]


def _opaque(prefix: str, rng: Random) -> str:
    """An id that tells nothing; 56 random bits do not collide in a million accounts."""
    return f"{prefix}{rng.getrandbits(56):014x}"
