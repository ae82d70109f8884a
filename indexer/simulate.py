"""Simulated traffic: ordinary users, benign look-alikes and planted campaigns, with the truth about each event."""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import numpy as np

from indexer.actors import Account, Actor, Request, compose, enrol, schedule
from indexer.cast import SIZED_FOR, STORY, cast
from indexer.clock import Window
from indexer.sample import Texts
from indexer.speech import Speech
from indexer.varied import CAMPAIGNS, LOOK_ALIKE_SHARE, LOOK_ALIKES_VARIED, missing_fields, varied_cast
from models.errors import BadSettings

EVENTS_FILE: Final = "events.jsonl"
TRUTH_FILE: Final = "truth.jsonl"
_REPLY: Final = "Understood."


class Cast(StrEnum):
    """Who is in the world: see `indexer.cast` and `indexer.varied`."""

    STANDARD = "standard"
    STORY = "story"
    VARIED = "varied"


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """What to simulate.

    events: rows in all, exactly. days: how long the world lasts. campaigns: how many are planted; 0 for traffic
    without any. benign: whether look-alikes are there. start: aware; a Monday, or weekends shift.
    cast: STANDARD, whose groups have the same habits in every world, STORY, the same with campaigns of which one
        swaps its pool and one moves to a new model, or VARIED.
    recipes, look_alikes: names of the groups of a VARIED cast; by default its campaigns in turn, `campaigns` of
        them, and every look-alike once.
    look_alike_share: least and most of a VARIED world's events that look-alikes send, in [0, 1).
    """

    events: int = SIZED_FOR
    days: float = 1.0
    campaigns: int = 4
    benign: bool = True
    start: datetime = datetime(2026, 2, 2, tzinfo=UTC)
    cast: Cast = Cast.STANDARD
    recipes: tuple[str, ...] | None = None
    look_alikes: tuple[str, ...] | None = None
    look_alike_share: tuple[float, float] = LOOK_ALIKE_SHARE

    def __post_init__(self) -> None:
        if self.events < 1 or not 0 < self.days <= 3_650 or self.campaigns < 0:
            raise BadSettings(
                f"a world needs events >= 1, days in (0, 3650] and campaigns >= 0, not {self.events} events, "
                f"{self.days} days and {self.campaigns} campaigns"
            )
        if not 0 <= self.look_alike_share[0] <= self.look_alike_share[1] < 1:
            raise BadSettings(f"look-alikes' share must be a range within [0, 1), not {self.look_alike_share}")
        if self.start.tzinfo is None:
            raise BadSettings(f"start {self.start.isoformat()} has no time zone")


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """row: an event as in an event file. kind: `background`, `benign:NAME` or `campaign:NAME`."""

    row: dict[str, Any]
    kind: str


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What was written: rows, distinct accounts, and rows by kind."""

    events: int
    accounts: int
    kinds: dict[str, int]


def simulate(spec: WorldSpec, texts: Texts, seed: int) -> Iterator[SimulatedEvent]:
    """The events of the world in order of time. The same arguments give the same events.

    Raises BadSettings if `spec.events` is too few for the campaigns and look-alikes wanted.
    """
    speech = _speech(spec.events, texts, seed)
    if spec.cast is not Cast.VARIED:
        told = STORY if spec.cast is Cast.STORY else None
        actors = cast(spec.events, spec.days, spec.campaigns, spec.benign, texts, speech, seed, told)
        return play(actors, speech, spec.start, spec.days, seed)
    in_turn = tuple(name for _, name in zip(range(spec.campaigns), cycle(CAMPAIGNS), strict=False))
    recipes = in_turn if spec.recipes is None else spec.recipes
    everyone = tuple(LOOK_ALIKES_VARIED) if spec.look_alikes is None else spec.look_alikes
    benign = everyone if spec.benign else ()
    actors = varied_cast(spec.events, spec.days, recipes, benign, spec.look_alike_share, texts, speech, seed)
    return _without(play(actors, speech, spec.start, spec.days, seed), missing_fields(seed))


def _without(events: Iterator[SimulatedEvent], fields: Sequence[str]) -> Iterator[SimulatedEvent]:
    """The events as a provider has them that does not record these fields."""
    for event in events:
        for name in fields:
            event.row.pop(name, None)
        yield event


def play(
    actors: Sequence[Actor], speech: Speech, start: datetime, days: float, seed: int
) -> Iterator[SimulatedEvent]:
    """What these actors send, in order of time; the door for worlds with a cast of one's own.

    The order of the requests is planned first, in some 30 bytes for each; their text is composed on the way out.
    """
    window = Window(0.0, 24 * days)
    accounts: list[Account] = []
    owners: list[int] = []
    hours, senders = array("d"), array("l")
    for number, actor in enumerate(actors):
        rng = Random(f"{seed}/{number}/{actor.kind}")
        pools = enrol(actor, start, window, speech, rng)
        enrolled = [account for pool in pools for account in pool.accounts]
        places = {account.account_id: len(accounts) + n for n, account in enumerate(enrolled)}
        accounts += enrolled
        owners += [number] * len(enrolled)
        for hour, account in schedule(actor, pools, window, rng):
            hours.append(hour)
            senders.append(places[account.account_id])
    rng = Random(f"{seed}/words")
    queues: list[list[str]] = [[] for _ in actors]
    turns = [actor.pivot.at * window.end if actor.pivot else math.inf for actor in actors]
    order = np.argsort(np.asarray(hours), kind="stable").tolist()
    for serial, index in enumerate(order):
        hour, sender = hours[index], senders[index]
        actor, account = actors[owners[sender]], accounts[sender]
        pivoted = hour >= turns[owners[sender]]
        request = compose(actor, account, pivoted, speech, queues[owners[sender]], rng)
        at = start + timedelta(milliseconds=int(hour * 3_600_000))
        yield SimulatedEvent(_row(serial, account, at, request), request.kind)


def write_world(out: Path, spec: WorldSpec, texts: Texts, seed: int) -> WorldReport:
    """Writes events.jsonl and truth.jsonl into the folder `out`, which is made if need be.

    The same arguments give the same bytes. Files of an earlier world there are replaced.
    """
    events = simulate(spec, texts, seed)
    encoder = msgspec.json.Encoder()
    kinds: Counter[str] = Counter()
    accounts: set[str] = set()
    out.mkdir(parents=True, exist_ok=True)
    with (out / EVENTS_FILE).open("wb") as event_file, (out / TRUTH_FILE).open("wb") as truth_file:
        for event in events:
            row = event.row
            truth = {"event_id": row["event_id"], "account_id": row["account_id"], "kind": event.kind}
            event_file.write(encoder.encode(row) + b"\n")
            truth_file.write(encoder.encode(truth) + b"\n")
            kinds[event.kind] += 1
            accounts.add(row["account_id"])
    return WorldReport(events=kinds.total(), accounts=len(accounts), kinds=dict(sorted(kinds.items())))


def _speech(events: int, texts: Texts, seed: int) -> Speech:
    """The more is drawn from the same texts, the more often prompts must depart from them."""
    demand = math.pow(max(1.0, events / SIZED_FOR), 0.4)
    return Speech(texts, hop=min(0.4, 0.12 * demand), change=min(0.8, 0.5 * demand), rng=Random(f"{seed}/speech"))


def _row(serial: int, account: Account, at: datetime, request: Request) -> dict[str, Any]:
    row: dict[str, Any] = {
        "event_id": f"e{serial:08d}",
        "account_id": account.account_id,
        "timestamp": at.isoformat(timespec="milliseconds"),
    }
    if request.turns:
        system = [{"role": "system", "content": request.system}] if request.system else []
        row["messages"] = [*system, *_conversation(request.turns)]
    elif request.system or account.sends_messages:
        system = [{"role": "system", "content": request.system}] if request.system else []
        row["messages"] = [*system, {"role": "user", "content": request.user}]
    else:
        row["prompt"] = request.user
    row["model"] = request.model
    row["account_created_at"] = account.created_at
    row["network"] = account.network
    optional = {"org_id": account.org_id, "payment_id": account.payment_id}
    row.update((key, value) for key, value in optional.items() if value is not None)
    return row


def _conversation(turns: Sequence[str]) -> list[dict[str, str]]:
    """The user's messages with a word of the model's between them."""
    spoken = [{"role": "user", "content": turn} for turn in turns]
    replies = [{"role": "assistant", "content": _REPLY}] * (len(turns) - 1)
    return [message for pair in zip(spoken, [*replies, None], strict=True) for message in pair if message]
