"""A cast in which every trait of every group varies with the seed: what the engine is calibrated and tested on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from indexer.actors import BACKGROUND, Actor, Age, Form, Load, Place, Script
from indexer.axes import (
    OFFICE_TASKS,
    Axes,
    any_of,
    attacker,
    crowd,
    drawn_evasions,
    drawn_languages,
    office_hours,
)
from indexer.cast import DAILY_PROMPTS, LOOK_ALIKES, NEW_MODEL, Props
from indexer.clock import Clock
from indexer.phrasing import fixed
from indexer.sample import Texts
from indexer.speech import TOPICS, Speech
from indexer.wording import draw, pieces
from models.errors import BadSettings

Draw = Callable[[Props, Random], Actor]

CAMPAIGN_SHARE: Final = (0.05, 0.25)  # of the traffic, all campaigns together
LOOK_ALIKE_SHARE: Final = (0.10, 0.30)
_LEAST_CAMPAIGN: Final = (30, 3.5)  # accounts, and prompts of each, below which none is scaled
_LEAST_LOOK_ALIKE: Final = 12
_CODE: Final = ("gpteacher_codegen", "infiagent_dabench")
_AGENTIC: Final = ("agentbench_os+theagentcompany", "bfcl_synth", "gpteacher_codegen")
_MATHS: Final = ("gsm8k_train",)
_CHINESE: Final = ("plexpt_zh_20k",)
_OPTIONAL: Final = ("payment_id", "account_created_at", "network", "model")


def varied_cast(
    events: int,
    days: float,
    campaigns: Sequence[str],
    look_alikes: Sequence[str],
    look_alike_share: tuple[float, float],
    texts: Texts,
    speech: Speech,
    seed: int,
) -> tuple[Actor, ...]:
    """Ordinary users, then the named campaigns and look-alikes with random traits; their events add up.

    look_alike_share: least and most of the events that look-alikes send.

    A name given again is another group, numbered. Raises BadSettings for an unknown name, or if the groups
    leave nothing for ordinary users.
    """
    rng = Random(f"{seed}/shares")
    published = tuple(Random(f"{seed}/published").sample(texts.templates, len(texts.templates)))

    def drawn(family: str, names: Sequence[str], draws: dict[str, Draw]) -> list[Actor]:
        actors: list[Actor] = []
        for place, name in enumerate(names):
            if name not in draws:
                raise BadSettings(f"there is no {family} {name!r}; known are {', '.join(draws)}")
            lap = list(names[: place + 1]).count(name)
            own = Random(f"{seed}/{family}/{name}/{lap}")
            kind = f"{family}:{name}" if lap == 1 else f"{family}:{name}-{lap}"
            actors.append(replace(draws[name](Props(days, texts, speech, published, own), own), kind=kind))
        return actors

    planted = _within(
        drawn("campaign", campaigns, CAMPAIGNS), events * rng.uniform(*CAMPAIGN_SHARE), *_LEAST_CAMPAIGN
    )
    benign = _within(
        drawn("benign", look_alikes, LOOK_ALIKES_VARIED),
        events * rng.uniform(*look_alike_share),
        _LEAST_LOOK_ALIKE,
        1.0,
    )
    left = events - sum(actor.events for actor in (*planted, *benign))
    if left < 1:
        raise BadSettings(
            f"{events} events are too few: the actors other than ordinary users need {events - left}"
        )
    people = max(1, round(left / (DAILY_PROMPTS * rng.uniform(0.6, 1.5) * max(1.0, days) ** 0.5)))
    return Actor(BACKGROUND, accounts=people, prompts=left / people), *planted, *benign


def missing_fields(seed: int) -> tuple[str, ...]:
    """Optional fields that a provider does not record, in every third world or so."""
    rng = Random(f"{seed}/fields")
    return tuple(name for name in _OPTIONAL if rng.random() < 0.3) if rng.random() < 0.4 else ()


def _within(actors: Sequence[Actor], most: float, accounts: int, prompts: float) -> list[Actor]:
    """The actors with fewer accounts, and if need be fewer prompts, so that together they send at most `most`.

    The small campaign is as small as it is, and no group goes below the least given.
    """
    total = sum(actor.events for actor in actors if actor.accounts > accounts)
    rest = most - sum(actor.events for actor in actors if actor.accounts <= accounts)
    scale = min(1.0, max(0.0, rest) / max(1, total))
    found = []
    for actor in actors:
        if actor.accounts == 1:
            found.append(replace(actor, prompts=max(20.0, actor.prompts * scale)))
            continue
        if actor.accounts <= accounts:
            found.append(actor)
            continue
        fewer = max(accounts, round(actor.accounts * scale))
        found.append(
            replace(
                actor,
                accounts=fewer,
                prompts=max(prompts, actor.prompts * min(1.0, scale * actor.accounts / fewer)),
            )
        )
    return found


def _payloads(props: Props, rng: Random) -> tuple[str, ...]:
    return any_of(rng, [props.payloads(*each) for each in (_CODE, _AGENTIC, _MATHS, (TOPICS,), ())])


def _some(texts: tuple[str, ...], sizes: tuple[int, int], rng: Random) -> tuple[str, ...]:
    """A few of them, that many people ask about."""
    return tuple(rng.sample(texts, min(len(texts), rng.randint(*sizes))))


def _campaign(change: Callable[[Axes, Random], Axes]) -> Draw:
    def build(props: Props, rng: Random) -> Actor:
        axes = replace(attacker(rng, props.days), fillings=_payloads(props, rng))
        return change(axes, rng).actor(rng)

    return build


def _short_slots(axes: Axes, rng: Random) -> Axes:
    return replace(axes, skeleton=None, words=rng.choice(((25, 60), (50, 110))), place=Place.HEAD)


def _wrapped(axes: Axes, rng: Random) -> Axes:
    return replace(axes, skeleton=rng.choice(((0.02, 0.2), (0.02, 0.06), (0.05, 0.15))))


def _swapped(axes: Axes, rng: Random) -> Axes:
    return replace(axes, accounts=2 * axes.accounts, swap_at=rng.uniform(0.35, 0.65))


def _pivoting(axes: Axes, rng: Random) -> Axes:
    to_template = rng.random() < 0.7
    return replace(
        axes,
        pivot_at=rng.uniform(0.35, 0.65),
        pivot_share=rng.uniform(0.45, 1.0),
        pivot_template=to_template,
        pivot_model=NEW_MODEL if not to_template or rng.random() < 0.5 else None,
    )


def _small(axes: Axes, rng: Random) -> Axes:
    return replace(axes, accounts=12, prompts=15.0, mixing=rng.uniform(0.0, 0.4), paraphrase=0, templates=1)


def _multilingual(props: Props, rng: Random) -> Actor:
    axes = attacker(rng, props.days)
    if rng.random() < 0.5:
        return replace(axes, fillings=props.payloads(*_CHINESE)).actor(rng)
    fillings = any_of(rng, [props.payloads(*_CHINESE), props.payloads(*_MATHS), ()])
    return replace(axes, fillings=fillings, languages=drawn_languages(rng)).actor(rng)


def _meetings(props: Props, rng: Random) -> Actor:
    """No template at all: hundreds of small tasks, each worked on by a few accounts of the pool."""
    axes = replace(attacker(rng, props.days), accounts=rng.randint(30, 60), prompts=rng.uniform(10, 20))
    families = max(30, round(axes.accounts * axes.prompts / rng.uniform(4, 7)))
    forms = tuple(Form((f"{props.speech.passage(rng, 14)} ", "")) for _ in range(families))
    endings = tuple(props.speech.question(rng) for _ in range(40))
    return replace(axes.actor(rng), script=Script(forms, tuple(each[:40] for each in endings)))


CAMPAIGNS: Final[dict[str, Draw]] = {
    "template": _campaign(_short_slots),
    "wrapper": _campaign(_wrapped),
    "paraphrased": _campaign(lambda axes, rng: replace(axes, paraphrase=rng.choice((1, 2, 2, 3)))),
    "multilingual": _multilingual,
    "evasive": _campaign(
        lambda axes, rng: replace(
            axes, evasions=drawn_evasions(rng), filler=rng.choice((0.0, rng.uniform(0, 0.15)))
        )
    ),
    "system": _campaign(
        lambda axes, rng: replace(axes, place=rng.choice((Place.SYSTEM, Place.SYSTEM, Place.SPLIT)))
    ),
    "swap": _campaign(_swapped),
    "pivot": _campaign(_pivoting),
    "brief": _campaign(
        lambda axes, rng: replace(axes, is_brief=True, place=Place.HEAD, skeleton=rng.choice((None, (0.05, 0.3))))
    ),
    "messages": _campaign(lambda axes, rng: replace(axes, place=Place.TURNS)),
    "reordered": _campaign(
        lambda axes, rng: replace(axes, reorder=True, words=(40, 90), paraphrase=rng.choice((0, 1, 3)))
    ),
    "hydra": _campaign(
        lambda axes, rng: replace(axes, templates=rng.randint(2, 5), prompts=max(8.0, axes.prompts))
    ),
    "small": _campaign(_small),
    "meetings": _meetings,
}
TESTED: Final = ("template", "wrapper", "paraphrased", "multilingual", "evasive", "system", "swap", "pivot")


def _known(name: str) -> Draw:
    """A look-alike of the standard cast with other sizes and other people."""

    def build(props: Props, rng: Random) -> Actor:
        actor, axes = LOOK_ALIKES[name](props), crowd(rng, props.days)
        if actor.accounts == 1:
            return replace(actor, prompts=actor.prompts * rng.uniform(0.2, 1.5))
        size = max(15, round(actor.accounts * rng.lognormvariate(0, 0.5)))
        return replace(
            actor,
            accounts=size,
            prompts=max(1.1, actor.prompts * rng.lognormvariate(0, 0.3)),
            mixing=min(0.9, max(0.05, actor.mixing + rng.uniform(-0.15, 0.3))),
            sigma=axes.sigma,
            age=actor.age if actor.age is not Age.AGED else axes.age,
        )

    return build


def _people(change: Callable[[Axes, Random], Axes]) -> Draw:
    def build(props: Props, rng: Random) -> Actor:
        axes = crowd(rng, props.days)
        if rng.random() < 0.5:
            axes = replace(axes, fillings=_payloads(props, rng))
        return change(axes, rng).actor(rng)

    return build


def _evaluation(props: Props, rng: Random) -> Actor:
    """Researchers who run a published benchmark prompt over public items, each from an account of their own."""
    text = rng.choice([each.text for each in props.published if len(each.text) < 600])
    axes = replace(crowd(rng, props.days), accounts=rng.randint(3, 9), prompts=rng.uniform(20, 80))
    actor = replace(axes, load=Load.POISSON, clock=Clock.ROUND_THE_CLOCK, mixing=0.1).actor(rng)
    items = _some(_payloads(props, rng), (20, 200), rng)
    return replace(actor, script=Script((Form((f"{text}\n\n", "")),), items))


def _agents(props: Props, rng: Random) -> Actor:
    """A popular open-source agent whose long instruction stands in the user's text."""
    axes = replace(crowd(rng, props.days), words=(60, 140), task=rng.choice(("agentic", "analysis")))
    where = rng.choice((Place.HEAD, Place.SYSTEM))
    axes = replace(axes, fillings=_payloads(props, rng), place=where, prompts=max(4.0, axes.prompts))
    return axes.actor(rng)


def _persona(props: Props, rng: Random) -> Actor:
    """A character card passed round in a community."""
    lines = [draw("persona", rng) for _ in range(len(pieces()["persona"]))]
    card = " ".join(dict.fromkeys(lines))
    axes = replace(crowd(rng, props.days), prompts=rng.uniform(3, 12), skeleton=rng.choice((None, (0.3, 0.7))))
    script = Script(skeleton=axes.skeleton, phrasings=(fixed(card),), place=rng.choice((Place.HEAD, Place.SYSTEM)))
    return replace(axes.actor(rng), script=script)


def _support(axes: Axes, rng: Random) -> Axes:
    """Agents of a call centre: six macros, accounts of their own, no organisation, often with even shifts."""
    axes = replace(
        axes,
        accounts=rng.randint(25, 60),
        prompts=rng.uniform(6, 20),
        templates=6,
        task="office",
        place=Place.HEAD,
        load=rng.choice((Load.POISSON, Load.HEAVY_TAIL)),
        networks=rng.choice((0, 1)),
    )
    return office_hours(rng, axes)


def _newcomers(axes: Axes, rng: Random) -> Axes:
    """A company's roll-out: no organisation, no card in common, accounts made over some weeks."""
    task = rng.choice((*OFFICE_TASKS, "analysis"))
    axes = replace(axes, accounts=rng.randint(60, 250), templates=rng.randint(2, 5), task=task, place=Place.HEAD)
    return replace(
        office_hours(rng, axes), age=rng.choice((Age.RECENT, Age.FRESH)), networks=rng.choice((0, 1, 3))
    )


def _tutoring(axes: Axes, rng: Random) -> Axes:
    """A course whose students were all told how to ask for help with the week's exercises."""
    axes = replace(
        axes, accounts=rng.randint(60, 200), prompts=rng.uniform(2, 8), task="reasoning", place=Place.HEAD
    )
    if axes.fillings and rng.random() < 0.5:
        axes = replace(axes, fillings=_some(axes.fillings, (8, 60), rng))
    return replace(
        axes, age=Age.RECENT if rng.random() < 0.5 else Age.AGED, zone=rng.choice((None, 1.0, -5.0, 8.0))
    )


def _judges(axes: Axes, rng: Random) -> Axes:
    """People who are paid to judge texts and let the model help; mostly each text is given to several of them."""
    samples = rng.choice((1, 3, 5))
    return replace(axes, accounts=rng.randint(30, 150), task="grading", place=Place.HEAD, samples=samples)


LOOK_ALIKES_VARIED: Final[dict[str, Draw]] = {
    **{name: _known(name) for name in LOOK_ALIKES},
    "evaluation": _evaluation,
    "agents": _agents,
    "persona": _persona,
    "support": _people(_support),
    "newcomers": _people(_newcomers),
    "tutoring": _people(_tutoring),
    "judges": _people(_judges),
    "translators": _people(
        lambda axes, rng: replace(
            axes, accounts=rng.randint(20, 120), task=rng.choice(OFFICE_TASKS), languages=drawn_languages(rng)
        )
    ),
    "toolusers": _people(lambda axes, rng: replace(axes, prompts=max(3.0, axes.prompts))),
}
