"""What every endpoint works with: the engine, the jobs, and threads to run them in."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, create_task_group, to_thread
from fastapi import Depends, Request

from app.console.pseudonyms import Pseudonyms
from app.console.sessions import SECRET_BYTES, Sessions
from app.ledger import Ledger
from app.match_queue import MatchQueue
from app.metrics import Metrics
from app.tracing import Tracing
from indexer.jobs import Jobs
from indexer.prompt_map import MappedPoints
from models.act import Act, ActKind
from models.allowance import Allowance
from models.block import Block, BlockQuery
from models.campaign import Campaign, CampaignLabel
from models.compared import ComparedPage, LabSample
from models.key import Keyring
from models.match import Match, Question
from models.mode import CampaignMode, Mode
from models.report import IngestReport
from models.search import SearchHit, SearchPage, SearchQuery
from models.shared import BankEntry, SharedCampaign
from models.status import Status
from models.traffic import AccountTraffic, CampaignAccount, CampaignHour, FlaggedAccount, TrafficHour

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Casebook(Protocol):
    """The part of `indexer.casebook.Casebook` that HTTP uses; all of one generation."""

    @property
    def campaigns(self) -> tuple[Campaign, ...]: ...
    @property
    def name(self) -> str: ...
    def read_ahead(self) -> None: ...
    def place(self, campaign_id: str) -> int: ...
    def campaign(self, campaign_id: str) -> Campaign: ...
    def hours(self, flagged: Collection[str]) -> tuple[TrafficHour, ...]: ...
    def busiest(self, flagged: Collection[str], most: int) -> list[FlaggedAccount]: ...
    def campaign_hours(self, campaign_id: str) -> tuple[CampaignHour, ...]: ...
    def campaign_accounts(self, campaign_id: str, which: slice = slice(None)) -> tuple[CampaignAccount, ...]: ...
    def lately(self, span: timedelta) -> dict[str, int]: ...
    def account_names(self) -> Sequence[str]: ...
    def account(self, account_id: str) -> AccountTraffic: ...
    def account_prompts(self, account_id: str, limit: int, offset: int) -> list[SearchHit]: ...
    def campaigns_of(self, account_ids: Sequence[str]) -> dict[str, dict[str, int]]: ...
    def typical(self, campaign_id: str, limit: int, offset: int, fringe: bool = False) -> ComparedPage: ...
    def near_misses(self, campaign_id: str, limit: int) -> ComparedPage: ...
    def lab(self, campaign_id: str) -> LabSample: ...
    def mapped(self) -> MappedPoints | None: ...
    def prompts_at(self, rows: Sequence[int]) -> dict[int, SearchHit]: ...
    def all_prompts(self, campaign_id: str) -> Iterator[SearchHit]: ...


class Engine(Protocol):
    """The part of `indexer.engine.Engine` that HTTP uses. Thread-safe; each call works on one generation."""

    def close(self) -> None: ...
    def refresh(self) -> bool: ...
    def heed(self) -> None: ...
    def ready(self) -> bool: ...
    def admit(self, question: Question) -> None: ...
    def known_answer(self, question: Question) -> Match | None: ...
    def match_all(self, questions: Sequence[Question]) -> list[Match]: ...
    def search(self, query: SearchQuery) -> SearchPage: ...
    def campaigns(self) -> tuple[Campaign, ...]: ...
    def campaign(self, campaign_id: str) -> Campaign: ...
    def campaign_prompts(self, campaign_id: str, limit: int, offset: int) -> SearchPage: ...
    def labels(self) -> dict[str, CampaignLabel]: ...
    def put_label(self, label: CampaignLabel) -> CampaignLabel: ...
    def campaign_modes(self) -> dict[str, CampaignMode]: ...
    def put_campaign_mode(self, mode: CampaignMode) -> CampaignMode: ...
    def allowances(self) -> list[Allowance]: ...
    def allow(self, rule: Allowance) -> Allowance: ...
    def disallow(self, rule_id: int, author: str) -> None: ...
    def casebook(self) -> Casebook: ...
    def record(self, act: Act) -> None: ...
    def acts(self, *subjects: str, kind: ActKind | None = None, most: int = 20) -> list[Act]: ...
    def share_in(self, campaigns: Sequence[SharedCampaign], author: str) -> None: ...
    def forget_shared(self, number: int) -> None: ...
    def bank(self) -> list[BankEntry]: ...
    def keys(self) -> Keyring: ...
    def add_blocks(self, found: Sequence[Block]) -> None: ...
    def blocks(self, query: BlockQuery) -> list[tuple[int, Block]]: ...
    def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport: ...
    def remember(self, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def status(self) -> Status: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one caller, and all together, may ask for.

    body_bytes: longest body of a request. body_timeout_s: time in which it must have arrived.
    prompt_chars: longest prompt that the engine takes; of a longer one gateways' questions examine both ends.
    match_batch: prompts examined together. match_waiting: prompts that may wait. match_patience_s: how long one
        may, if who asks does not say. long_chars: prompts longer than this wait by themselves, up to
        long_patience_s, so that a few of them do not hold up the others.
    memory_chars: of prompts that wait to be remembered.
    other_threads: for what callers ask besides, so that no big ingest or search stands in the way of a match.
    page_threads: for the console's pages, so that neither they nor what callers ask stand in each other's way.
    look_threads: for what is quick to tell and must be told whatever else goes on, such as readiness.
    """

    body_bytes: int = 8 << 20
    body_timeout_s: float = 30.0
    prompt_chars: int = 1 << 20
    match_batch: int = 32
    match_waiting: int = 1024
    match_patience_s: float = 1.0
    long_chars: int = 1 << 15
    long_waiting: int = 32
    long_patience_s: float = 15.0
    memory_chars: int = 1 << 26
    other_threads: int = 4
    page_threads: int = 4
    look_threads: int = 2


@dataclass(frozen=True, slots=True)
class Manner:
    """How an application serves.

    poll_s: seconds between looks for a newly published generation.
    mode: for questions that name none.
    keys_required: whether nobody gets in even if no API key was ever made.
    remember: whether prompts that are asked about are stored as events.
    together: folder where the workers of one server count together, see `Metrics`.
    session_secret: what sessions of the console are signed with; None for one that nobody else has. random: so
    many
        random bytes, for the salts of what is shared.
    """

    limits: Limits = Limits()
    poll_s: float = 1.0
    mode: Mode = Mode.AUDIT
    keys_required: bool = False
    remember: bool = False
    together: Path | None = None
    session_secret: bytes | None = None
    random: Callable[[int], bytes] = os.urandom


DEFAULT_MANNER: Final = Manner()


class Services:
    """One per application. Engine calls that take work go through `match`, `match_all` or `run`: other threads."""

    def __init__(
        self,
        engine: Engine,
        jobs: Jobs,
        clock: Callable[[], datetime],
        manner: Manner,
        tracing: Tracing,
    ) -> None:
        self.engine = engine
        self.jobs = jobs
        self.clock = clock
        self.limits = limits = manner.limits
        self.mode = manner.mode
        secret = manner.session_secret or os.urandom(SECRET_BYTES)
        self.sessions = Sessions(secret)
        self.pseudonyms = Pseudonyms(secret)
        self.random = manner.random
        self.tracing = tracing
        self.metrics = Metrics(manner.together)
        self.ledger: Ledger[Block] = Ledger("blocks", self._keep_blocks, self.metrics.lost_blocks.inc)
        self.memory: Ledger[Mapping[str, Any]] | None = None
        if manner.remember:
            lost = self.metrics.lost_events.inc
            self.memory = Ledger("events", self._keep_events, lost, limits.memory_chars, _characters)
        self.queue = self._queue("short", limits.match_waiting, limits.match_batch)
        self.long_queue = self._queue("long", limits.long_waiting, 1)
        self._other = CapacityLimiter(limits.other_threads)
        self._warmed = ""
        self._pages = CapacityLimiter(limits.page_threads)
        self._looks = CapacityLimiter(limits.look_threads)

    def _queue(self, name: str, most: int, batch: int) -> MatchQueue:
        waiting = self.metrics.waiting.labels(name)
        waiting.set(0)
        return MatchQueue(self.engine.match_all, most, batch, partial(self.metrics.count_batch, name), waiting.set)

    async def match(self, question: Question, patience_s: float | None = None) -> Match:
        """The answer to one question: at once if it is known, else from the queue. Raises PromptTooLarge, NotReady
        or Overloaded.
        """
        self.engine.admit(question)
        known = self.engine.known_answer(question)
        self.metrics.count_recall(known is not None)
        if known is not None:
            return known
        is_long = len(question.prompt.system) + len(question.prompt.user) > self.limits.long_chars
        queue = self.long_queue if is_long else self.queue
        most = self.limits.long_patience_s if is_long else self.limits.match_patience_s
        with self.tracing.stage("examine"):
            return await queue.ask(question, most if patience_s is None else min(most, patience_s))

    async def match_all(self, questions: Sequence[Question]) -> list[Match]:
        """The answers to a batch, by one generation; beside the queue, so that it holds nobody up for long."""
        return await self.run(self.engine.match_all, questions)

    async def keep_matching(self) -> None:
        """Answers what waits, until cancelled."""
        async with create_task_group() as workers:
            for queue in (self.queue, self.long_queue):
                workers.start_soon(queue.keep_answering, CapacityLimiter(1))

    async def run(self, call: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run anything else in one of the other threads."""
        return await to_thread.run_sync(call, *arguments, limiter=self._other)

    async def browse(self, call: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run what a page of the console takes, in one of the threads that pages have."""
        return await to_thread.run_sync(call, *arguments, limiter=self._pages)

    async def look(self, call: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run what is quickly told, in a thread that no long work takes."""
        return await to_thread.run_sync(call, *arguments, limiter=self._looks)

    def warm(self) -> None:
        """Does what the first visitor of a generation would wait for; once, whether it succeeds or not."""
        casebook = self.engine.casebook() if self.engine.ready() else None
        if casebook is not None and casebook.name != self._warmed:
            self._warmed = casebook.name
            casebook.read_ahead()
            self.pseudonyms.learn(casebook.account_names())

    async def _keep_blocks(self, found: Sequence[Block]) -> None:
        await own_thread(self.engine.add_blocks, found)

    async def _keep_events(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await own_thread(self.engine.remember, rows)

    async def keep_writing(self) -> None:
        """Writes what the request path hands over, until cancelled."""
        async with create_task_group() as writers:
            for ledger in (self.ledger, self.memory):
                if ledger is not None:
                    writers.start_soon(ledger.keep_writing)

    async def write_the_rest(self) -> None:
        """Writes what still waits."""
        await self.ledger.flush()
        if self.memory is not None:
            await self.memory.flush()

    def close(self) -> None:
        """Stop the running job and close the engine."""
        self.jobs.close()
        self.engine.close()
        self.tracing.close()


async def own_thread(call: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Run what the server does for itself, whatever callers keep it busy with."""
    return await to_thread.run_sync(call, *arguments, limiter=CapacityLimiter(1))


def _characters(row: Mapping[str, Any]) -> int:
    return sum(len(message["content"]) for message in row["messages"])


async def _services(request: Request) -> Services:  # async: a plain function would cost a thread per request
    services: Services = request.app.state.services
    return services


Use = Annotated[Services, Depends(_services)]
"""The type of an endpoint's parameter that takes the application's services."""
