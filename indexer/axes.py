"""The axes of a group that shares a template, and how to draw them at random: one set for whoever it is.

Attackers and the innocent are drawn from the same axes with different ranges that overlap, so that no single
trait gives either away; what is calibrated on such worlds does not hang on the habits of one author.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp, log
from random import Random

from indexer.actors import Actor, Age, Load, Pivot, Place, Script
from indexer.clock import Clock, draw_zone
from indexer.evasion import Evasion
from indexer.phrasing import LANGUAGES, Phrasing, brief, foreign, phrasing


@dataclass(frozen=True, slots=True)
class Axes:
    """One group's place on every axis.

    accounts, prompts: how many, and mean requests of each. mixing: share of their requests that is ordinary.
    task: of the grammar. words: least and most of an instruction. skeleton: least and greatest share of a
        request's words that is fixed. paraphrase: 0 to 3, see `phrasing`. reorder, filler: clauses in any order,
        rate of filler words. is_brief: wrappers of 5 to 8 words instead. languages: of further wordings of the
        instruction. place: where it stands. templates: unrelated instructions of the same accounts.
    fillings: what goes into slots; ordinary questions if empty. samples: how many requests get the same one.
    load, sigma, clock, zone, age, sharing, networks, evasions, swap_at: as in Actor.
    pivot_at: when `pivot_share` of the accounts move to an unrelated template, a new model, or both.
    """

    accounts: int = 100
    prompts: float = 10.0
    mixing: float = 0.3
    task: str = "reasoning"
    words: tuple[int, int] = (20, 60)
    skeleton: tuple[float, float] | None = None
    paraphrase: int = 0
    reorder: bool = False
    filler: float = 0.0
    is_brief: bool = False
    languages: tuple[str, ...] = ()
    place: Place = Place.HEAD
    templates: int = 1
    fillings: tuple[str, ...] = field(default=(), repr=False)
    samples: int = 1
    load: Load = Load.POISSON
    sigma: float = 1.3
    clock: Clock = Clock.HUMAN
    zone: float | None = None
    age: Age = Age.AGED
    sharing: int = 0
    networks: int = 0
    evasions: tuple[Evasion, ...] = ()
    swap_at: float | None = None
    pivot_at: float | None = None
    pivot_share: float = 0.5
    pivot_template: bool = False
    pivot_model: str | None = None

    def script(self, rng: Random) -> Script:
        """Instructions as these axes want them, worded by `rng`."""
        said = tuple(each for _ in range(self.templates) for each in self._phrasings(rng))
        return Script(
            fillings=self.fillings, skeleton=self.skeleton, phrasings=said, place=self.place, samples=self.samples
        )

    def actor(self, rng: Random) -> Actor:
        """A group that acts like this; its `kind` is left to the caller."""
        pivot = None
        if self.pivot_at is not None:
            other = self.script(rng) if self.pivot_template else None
            pivot = Pivot(self.pivot_at, self.pivot_share, other, self.pivot_model)
        return Actor(
            kind="",
            accounts=self.accounts,
            prompts=self.prompts,
            script=self.script(rng),
            mixing=self.mixing,
            load=self.load,
            sigma=self.sigma,
            clock=self.clock,
            zone=self.zone,
            age=self.age,
            sharing=self.sharing,
            networks=self.networks,
            evasions=self.evasions,
            swap_at=self.swap_at,
            pivot=pivot,
            peak=rng.random(),
        )

    def _phrasings(self, rng: Random) -> list[Phrasing]:
        if self.is_brief:
            own = brief(rng)
        else:
            own = phrasing(rng, self.task, self.words, self.paraphrase, self.reorder, self.filler)
        return [own, *(foreign(rng, language, self.paraphrase) for language in self.languages)]


TASKS = ("reasoning", "agentic", "grading", "rewriting", "analysis")
OFFICE_TASKS = ("office", "writing", "classify")


def attacker(rng: Random, days: float) -> Axes:
    """A campaign of any kind: dedicated to some degree, careful or careless with its accounts."""
    careful = rng.random() < 0.4
    return Axes(
        accounts=_log_int(rng, 30, 400),
        prompts=_log(rng, 3.5, 25) * min(3.0, days**0.5),
        mixing=rng.choice((0.0, rng.uniform(0.05, 0.5), rng.uniform(0.3, 0.8))),
        task=rng.choice(TASKS),
        words=rng.choice(((12, 30), (25, 60), (50, 110))),
        skeleton=rng.choice((None, (0.02, 0.2), (0.05, 0.4), (0.3, 0.8))),
        place=rng.choice((Place.HEAD, Place.HEAD, Place.TAIL, Place.ENDS, Place.MIDDLE)),
        load=rng.choice((Load.ROUND_ROBIN, Load.POISSON, Load.POISSON, Load.HEAVY_TAIL)),
        sigma=rng.uniform(0.3, 1.4),
        clock=rng.choice(
            (Clock.HUMAN, Clock.DIURNAL)
            if careful
            else (Clock.ROUND_THE_CLOCK, Clock.ROUND_THE_CLOCK, Clock.BATCHES, Clock.HUMAN, Clock.DIURNAL)
        ),
        age=rng.choice((Age.AGED, Age.MIXED) if careful else (Age.FRESH, Age.AGED, Age.MIXED, Age.RECENT)),
        sharing=0 if careful else rng.choice((0, 2, 3, 6, 12)),
        networks=0 if careful else rng.choice((0, 4, 12, 40)),
        samples=rng.choice((1, 1, 1, 2, 4, 8)),
    )


def crowd(rng: Random, days: float) -> Axes:
    """People who happen to use one thing: heavy users and light ones, at the hours that people keep."""
    return Axes(
        accounts=_log_int(rng, 20, 500),
        prompts=_log(rng, 1.5, 12) * min(3.0, days**0.5),
        mixing=rng.choice((rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.8))),
        task=rng.choice((*3 * OFFICE_TASKS, *TASKS)),
        words=rng.choice(((12, 30), (25, 60), (50, 110))),
        skeleton=rng.choice((None, (0.05, 0.3), (0.15, 0.6), (0.5, 0.9))),
        place=rng.choice((Place.HEAD, Place.HEAD, Place.TAIL, Place.SYSTEM)),
        load=Load.HEAVY_TAIL,
        sigma=rng.uniform(0.9, 1.6),
        age=rng.choice((Age.AGED, Age.AGED, Age.MIXED, Age.RECENT)),
    )


def drawn_evasions(rng: Random) -> tuple[Evasion, ...]:
    """Two to five tricks."""
    return tuple(rng.sample(list(Evasion), rng.randint(2, 5)))


def drawn_languages(rng: Random) -> tuple[str, ...]:
    """One to three languages besides English."""
    return tuple(rng.sample(LANGUAGES, rng.randint(1, 3)))


def office_hours(rng: Random, axes: Axes) -> Axes:
    """The same people at work in one place."""
    return replace(axes, clock=Clock.OFFICE, zone=draw_zone(rng), sigma=rng.uniform(0.5, 1.1))


def any_of(rng: Random, choices: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """One of several kinds of fillings."""
    return rng.choice([each for each in choices if each] or [()])


def _log(rng: Random, low: float, high: float) -> float:
    return exp(rng.uniform(log(low), log(high)))


def _log_int(rng: Random, low: int, high: int) -> int:
    return round(_log(rng, low, high))
