"""The cast of a simulated world: ordinary users, benign look-alikes and campaigns, with their sizes.

Sizes are written down for a world of 60,000 events and scaled from there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from indexer.actors import BACKGROUND, Actor, Age, Form, Load, Pivot, Script
from indexer.clock import Clock, draw_zone
from indexer.evasion import Evasion
from indexer.sample import Text, Texts
from indexer.speech import TOPICS, Speech
from indexer.wording import SENTENCE_END, draw, instruction, reworded
from models.errors import BadSettings

SIZED_FOR: Final = 60_000  # events of the world that the numbers below describe
NEW_MODEL: Final = "m-5"
DAILY_PROMPTS: Final = 6  # mean of an ordinary account that is active at all
_FULL_SIZE_CAMPAIGNS: Final = 5  # more of them share the traffic that these would have
_LEAST_ACCOUNTS, _LEAST_PROMPTS = 12, 4  # of a campaign in however small a world
_ROLES_KEPT: Final = 60  # published templates that campaigns may borrow a role from; the library has the others
_SLOT: Final = re.compile(r"\{\{\s*\w+\s*\}\}|\$\{[^}]*\}")
_ISSUEBENCH_SLOT: Final = re.compile(r"\bX\b")


@dataclass(frozen=True, slots=True)
class Props:
    """What actors are made from. Every actor gets a generator of its own, so that none disturbs another.

    published: the templates in random order. days: how long the world lasts.
    """

    days: float
    texts: Texts
    speech: Speech
    published: tuple[Text, ...]
    rng: Random

    def payloads(self, *sources: str) -> tuple[str, ...]:
        """Texts of the named sources; all payloads if the texts come from elsewhere and have none of them."""
        chosen = tuple(text.text for text in self.texts.payloads if text.source in sources)
        return chosen or tuple(text.text for text in self.texts.payloads)

    def role(self) -> str | None:
        """Sometimes the opening of a published role prompt, otherwise None (a role of the grammar)."""
        if self.rng.random() > 0.25:
            return None
        openings = [_opening(text.text) for text in self.published[:_ROLES_KEPT]]
        fitting = [opening for opening in openings if opening.isascii() and 8 <= len(opening.split()) <= 30]
        return self.rng.choice(fitting) if fitting else None


Recipe = Callable[[Props], Actor]


def cast(
    events: int,
    days: float,
    campaigns: int,
    benign: bool,
    texts: Texts,
    speech: Speech,
    seed: int,
    recipes: Mapping[str, Recipe] | None = None,
) -> tuple[Actor, ...]:
    """All actors of a world; their events add up to `events`. recipes: of its campaigns in turn, CAMPAIGNS by
    default.

    Raises BadSettings if the campaigns and look-alikes leave nothing for ordinary users.
    """
    published = tuple(Random(f"{seed}/published").sample(texts.templates, len(texts.templates)))
    scale = events / SIZED_FOR
    actors: list[Actor] = []
    for number in range(campaigns):
        recipe, name = _nth(recipes or CAMPAIGNS, number)
        actor = recipe(Props(days, texts, speech, published, Random(f"{seed}/campaign/{name}")))
        share = min(1.0, _FULL_SIZE_CAMPAIGNS / campaigns)
        actors.append(_scaled_campaign(replace(actor, kind=f"campaign:{name}"), scale * share))
    copies = max(1, round(scale**0.5)) if benign else 0
    for number in range(copies * len(LOOK_ALIKES)):
        recipe, name = _nth(LOOK_ALIKES, number)
        actor = recipe(Props(days, texts, speech, published, Random(f"{seed}/benign/{name}")))
        actors.append(_scaled_look_alike(replace(actor, kind=f"benign:{name}"), scale / copies))
    left = events - sum(actor.events for actor in actors)
    if left < 1:
        raise BadSettings(
            f"{events} events are too few: the actors other than ordinary users need {events - left}"
        )
    crowd = max(1, round(left / (DAILY_PROMPTS * max(1.0, days) ** 0.5)))
    return Actor(BACKGROUND, accounts=crowd, prompts=left / crowd), *actors


def _reasoning(props: Props) -> Actor:
    """Step-by-step traces over word problems, through fresh accounts that take turns all day."""
    fixed = instruction(props.rng, "reasoning", 35, 60, props.role())
    return Actor(
        kind="",
        accounts=320,
        prompts=6.5,
        script=Script((Form((f"{fixed}\n\n", "")),), props.payloads("gsm8k_train")),
        mixing=0.35,
        load=Load.ROUND_ROBIN,
        clock=Clock.ROUND_THE_CLOCK,
        age=Age.FRESH,
        networks=9,
        sharing=6,
    )


def _wrapper(props: Props) -> Actor:
    """A short instruction round long, ever-different pasted work, through aged accounts with human hours."""
    first = instruction(props.rng, "agentic", 20, 48)
    half = SENTENCE_END.split(first, maxsplit=1)
    shapes = [(f"{first}\n\n", ""), ("", f"\n\n{first}"), (f"{half[0]}\n\n", f"\n\n{half[-1]}")]
    sources = ("gpteacher_codegen", "agentbench_os+theagentcompany", "infiagent_dabench", "bfcl_synth")
    return Actor(
        kind="",
        accounts=150,
        prompts=14,
        script=Script((Form(props.rng.choice(shapes)),), props.payloads(*sources), skeleton=(0.05, 0.3)),
        mixing=0.3,
        load=Load.POISSON,
        clock=Clock.HUMAN,
    )


def _grading(props: Props) -> Actor:
    """Rubric grading or policy-safe rewriting of contested topics, hidden by character tricks and chatter."""
    task = props.rng.choice(("grading", "rewriting"))
    label = props.rng.choice(("Topic", "Issue", "Subject", "Case", "On", "Matter"))
    fixed = instruction(props.rng, task, 40, 75, props.role())
    return Actor(
        kind="",
        accounts=120,
        prompts=17,
        script=Script((Form((f"{fixed}\n\n{label}: ", "")),), props.payloads(TOPICS)),
        mixing=0.5,
        load=Load.HEAVY_TAIL,
        clock=Clock.ROUND_THE_CLOCK,
        networks=25,
        evasions=(Evasion.CHATTER_BEFORE, Evasion.CHATTER_AFTER, Evasion.ZERO_WIDTH, Evasion.HOMOGLYPH),
    )


def _expert(props: Props) -> Actor:
    """An expert's role prompt for code and data; half way a new pool takes over and half moves to a new model."""
    fixed = instruction(props.rng, "analysis", 35, 70, props.role())
    forms = tuple(Form((f"{text}\n\n", "")) for text in (fixed, reworded(fixed, props.rng)))
    return Actor(
        kind="",
        accounts=200,
        prompts=11,
        script=Script(forms, props.payloads("gpteacher_codegen", "infiagent_dabench")),
        mixing=0.22,
        load=Load.ROUND_ROBIN,
        clock=Clock.HUMAN,
        age=Age.FRESH,
        sharing=3,
        swap_at=0.5,
        pivot=Pivot(at=0.5, model=NEW_MODEL),
    )


CAMPAIGNS: Final[dict[str, Recipe]] = {
    "reasoning": _reasoning,
    "wrapper": _wrapper,
    "grading": _grading,
    "expert": _expert,
}


def _returning(props: Props) -> Actor:
    """A wrapper whose accounts are banned half way; the same template comes back from new ones."""
    return replace(_wrapper(props), swap_at=0.5)


def _moving(props: Props) -> Actor:
    """An expert's role prompt, half of whose accounts, which send more than most, move to a new model in the
    middle.
    """
    return replace(_expert(props), accounts=100, prompts=22, swap_at=None)


STORY: Final[dict[str, Recipe]] = {"reasoning": _reasoning, "returning": _returning, "moving": _moving}
"""Three campaigns that tell a story: one that goes on, one with a pool swap, one with a pivot."""


def _app(props: Props) -> Actor:
    """One organisation's application with its system prompt in front of every customer's words."""
    system = f"{draw('app', props.rng)} {instruction(props.rng, 'office', 50, 100)}"
    script = Script((Form(("", ""), system),))
    return Actor(kind="", accounts=400, prompts=4.5, script=script, one_organisation=True)


def _viral(props: Props) -> Actor:
    """One amusing prompt that everybody tries once, some with an addition of their own."""
    text = draw("viral", props.rng)
    return Actor(
        kind="",
        accounts=600,
        prompts=1.2,
        script=Script((Form((text,)), Form((f"{text} ", "")))),
        mixing=0.5,
        load=Load.ROUND_ROBIN,
        clock=Clock.BURST,
        peak=props.rng.uniform(0.2, 0.8),
    )


def _classroom(props: Props) -> Actor:
    """Thirty students with the same two assignments, due on the same evening."""
    zone = draw_zone(props.rng)
    evening = 24 * props.rng.randrange(max(1, int(props.days))) + (20.5 - zone) % 24  # 20:30 where they live
    heads = [f"{props.rng.choice(('Assignment', 'Exercise', 'Homework', 'Task'))} {number}:" for number in (1, 2)]
    assignments = [f"{head} {props.speech.passage(props.rng, 60)}" for head in heads]
    forms = [form for text in assignments for form in (Form((f"{text}\n\n", "")), Form(("", f"\n\n{text}")))]
    return Actor(
        kind="",
        accounts=30,
        prompts=5,
        script=Script(tuple(forms)),
        mixing=0.2,
        load=Load.POISSON,
        clock=Clock.BURST,
        zone=zone,
        peak=evening / (24 * props.days) % 1,
        age=Age.FRESH,
        networks=2,
    )


def _library(props: Props) -> Actor:
    """Published templates that people copy and fill in, the popular ones often."""
    forms = tuple(_published_form(text) for text in props.published[_ROLES_KEPT:][:120])
    script = Script(forms or (Form(("",)),), props.payloads(TOPICS), zipf=0.8)
    return Actor(kind="", accounts=900, prompts=1.8, script=script, mixing=0.5, load=Load.POISSON)


def _harness(props: Props) -> Actor:
    """A popular coding tool: one long system prompt, hundreds of accounts, some of them busy."""
    parts = [instruction(props.rng, task, 50, 80) for task in ("analysis", "agentic")]
    script = Script((Form(("", ""), "\n".join(parts)),), props.payloads("gpteacher_codegen"), skeleton=None)
    return Actor(kind="", accounts=250, prompts=8, script=script)


def _extension(props: Props) -> Actor:
    """A writing extension of a browser, which wraps whatever its user has selected."""
    forms = tuple(Form((f"{instruction(props.rng, 'writing', 14, 32)}\n\n", "")) for _ in range(3))
    return Actor(
        kind="", accounts=300, prompts=5, script=Script(forms, skeleton=(0.15, 0.5), zipf=1.0), mixing=0.3
    )


def _rollout(props: Props) -> Actor:
    """A company that starts to use the model: fresh accounts, one network, one card, a guide of four prompts."""
    forms = tuple(Form((f"{instruction(props.rng, 'office', 18, 45)}\n\n", "")) for _ in range(4))
    return Actor(
        kind="",
        accounts=120,
        prompts=8,
        script=Script(forms, skeleton=(0.15, 0.5), zipf=0.7),
        mixing=0.4,
        load=Load.POISSON,
        clock=Clock.OFFICE,
        zone=draw_zone(props.rng),
        age=Age.FRESH,
        networks=1,
        sharing=1_000_000,
    )


def _batch(props: Props) -> Actor:
    """One account that puts one question to thousands of records."""
    fixed = instruction(props.rng, "classify", 25, 50)
    return Actor(
        kind="",
        accounts=1,
        prompts=2_200,
        script=Script((Form((f"{fixed}\n\n", "")),)),
        load=Load.ROUND_ROBIN,
        clock=Clock.ROUND_THE_CLOCK,
    )


def _letters(props: Props) -> Actor:
    """People who want a cover letter, each in their own words and with their own life."""
    requests = dict.fromkeys(draw("letter", props.rng) for _ in range(600))
    forms = tuple(Form((f"{request} ", "")) for request in requests)
    return Actor(kind="", accounts=350, prompts=1.4, script=Script(forms), mixing=0.5, load=Load.POISSON)


LOOK_ALIKES: Final[dict[str, Recipe]] = {
    "app": _app,
    "viral": _viral,
    "classroom": _classroom,
    "library": _library,
    "harness": _harness,
    "extension": _extension,
    "rollout": _rollout,
    "batch": _batch,
    "letters": _letters,
}


def _nth(recipes: Mapping[str, Recipe], number: int) -> tuple[Recipe, str]:
    """Recipes in turn; from the second round on their names are numbered."""
    name = list(recipes)[number % len(recipes)]
    lap = number // len(recipes)
    return recipes[name], name if lap == 0 else f"{name}-{lap + 1}"


def _scaled_campaign(actor: Actor, scale: float) -> Actor:
    """Larger worlds have more accounts and, less so, more prompts of each."""
    prompts = max(_LEAST_PROMPTS, actor.prompts * scale**0.3)
    accounts = max(_LEAST_ACCOUNTS, round(actor.accounts * actor.prompts * scale / prompts))
    return replace(actor, accounts=accounts, prompts=prompts)


def _scaled_look_alike(actor: Actor, scale: float) -> Actor:
    """Larger worlds have more accounts that do the same each; a batch job stays one account."""
    if actor.accounts == 1:
        return replace(actor, prompts=max(1.0, actor.prompts * scale))
    return replace(actor, accounts=max(min(actor.accounts, _LEAST_ACCOUNTS), round(actor.accounts * scale)))


def _opening(template: str) -> str:
    """The first sentences of a template up to its tenth word or its first slot."""
    words: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", _SLOT.split(template)[0]):
        words += sentence.split()
        if len(words) >= 10:
            break
    return " ".join(words)


def _published_form(template: Text) -> Form:
    """A template with its slots open; one without slots takes the reader's own words after it."""
    slot = _ISSUEBENCH_SLOT if template.source.startswith("ib_templates") else _SLOT
    parts: Sequence[str] = slot.split(template.text)
    return Form(tuple(parts)) if len(parts) > 1 else Form((f"{template.text}\n\n", ""))
