"""A small engine that keeps all of `app.state.Engine`'s contract in memory, and a client for the API over it."""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

import httpx
from casebook_double import FIRST, GENERATION, LAST, MEMBERS, NOW, THRESHOLD, MemoryCasebook, hit_of
from fastapi import FastAPI

from app.main import create_app
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from app.state import Limits, Manner
from app.tracing import NO_TRACING, Tracing
from indexer.job_records import JobRecords
from indexer.jobs import MAP_JOB, Jobs
from models.act import Act, ActKind
from models.allowance import Allowance
from models.block import Block, BlockQuery
from models.campaign import (
    Campaign,
    CampaignLabel,
    Evidence,
    EvidenceKind,
    Exemplar,
    HistoryEntry,
    Label,
    Level,
    Slot,
    Template,
    ViewThreshold,
)
from models.errors import (
    BadEvent,
    NotFound,
    NotReady,
    PromptTooLarge,
    UnknownAllowance,
    UnknownCampaign,
)
from models.event import Event, parse_event
from models.key import Keyring
from models.match import Decision, Ground, Match, Nearest, Question, ViewSimilarity
from models.mode import CampaignMode, Mode
from models.prompt import Prompt
from models.report import IngestReport
from models.search import SearchHit, SearchPage, SearchQuery
from models.shared import BankEntry, SharedCampaign
from models.status import Health, Status
from models.text import tokens
from models.traffic import CampaignAccount
from models.view import View

_ASIDE: Final = TemporaryDirectory(prefix="stillwatch-tests-")

ENCODER = "bag-of-words"
MAX_PROMPT_CHARS = 5000
WATCHED_CAMPAIGN = "c-0badcafe"
WATCHED_PROMPT = "Write a cover letter for the position of night porter."


def cosine(one: str, other: str) -> float:
    """Cosine similarity of two texts as bags of words; 0 if either is empty."""
    a, b = Counter(tokens(one.lower())), Counter(tokens(other.lower()))
    norm = sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return sum(a[word] * b[word] for word in a) / norm if norm else 0.0


def make_campaign(campaign_id: str, level: Level, text: str) -> Campaign:
    """A campaign of 100 events by two accounts, with one of everything."""
    return Campaign(
        campaign_id=campaign_id,
        level=level,
        score=0.97 if level.is_alarm else 0.2,
        p_value=0.0001 if level.is_alarm else 0.4,
        false_discovery=0.002 if level.is_alarm else 0.8,
        capability="data analysis",
        events=100,
        prompts=80,
        accounts=2,
        units=2,
        depth=50.0,
        first_seen=FIRST,
        last_seen=LAST,
        models={"m-4": 60, "m-5": 40},
        views=(View.WHOLE, View.RECURRING),
        template=Template(
            skeleton=f"{text} {{1}}",
            regex="^.*$",
            literal_share=0.9,
            support=1.0,
            role="user",
            slots=(Slot(1, 100, 90, 1.5, "text", ("churn", "margin"), 12),),
        ),
        evidence=(
            Evidence("spread", EvidenceKind.COORDINATION, 2.0, 1.0, 3.5, "two units, one expected"),
            Evidence("payment", EvidenceKind.COORDINATION, None, None, 0.0, "not available"),
        ),
        exemplars=(Exemplar("00ff", text),),
        thresholds=(ViewThreshold(View.WHOLE, THRESHOLD, 0.6, 1000, 0.95),),
        history=(HistoryEntry(GENERATION, NOW, "born", 100, 2, ""),),
        formerly=(f"{campaign_id}-before",),
    )


class MemoryEngine:
    """Two campaigns, compared by shared words. `published` and `health` may be set by a test."""

    def __init__(self, published: bool = True) -> None:
        self.published = published
        self.health = Health.OK
        self.closed = False
        self.refreshes = self.heeds = 0
        self.generation = GENERATION
        self.keyring = Keyring(())
        self._campaigns: tuple[Campaign, ...] = (
            make_campaign(EXAMPLE_CAMPAIGN, Level.LIKELY, EXAMPLE_PROMPT),
            make_campaign(WATCHED_CAMPAIGN, Level.WATCH, WATCHED_PROMPT),
        )
        self._labels: dict[str, CampaignLabel] = {}
        self._modes: dict[str, CampaignMode] = {}
        self._blocks: list[Block] = []
        self._rules: list[Allowance | None] = []
        self._events: dict[str, Event] = {}
        self.is_mapped = False
        self.members: Sequence[CampaignAccount] = MEMBERS
        self.recorded: list[Act] = []
        self._bank: list[BankEntry] = []

    def set_campaigns(self, *campaigns: Campaign) -> None:
        self._campaigns = campaigns

    def close(self) -> None:
        self.closed = True

    def refresh(self) -> bool:
        self.refreshes += 1
        return False

    def heed(self) -> None:
        self.heeds += 1

    def remember(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.add_events(rows)

    def ready(self) -> bool:
        return self.published

    def admit(self, question: Question) -> None:
        length = len(question.prompt.system) + len(question.prompt.user)
        if length > MAX_PROMPT_CHARS:
            raise PromptTooLarge(f"prompt has {length} characters, more than {MAX_PROMPT_CHARS}")

    def match(self, prompt: Prompt, mode: Mode, top_k: int) -> Match:
        self._require_ready()
        ranked = sorted((self._nearest(each, prompt) for each in self._campaigns), key=lambda n: -n.similarity)
        best = ranked[0]
        near = best.similarity >= best.threshold
        decision = (Decision.MATCH if best.level.is_alarm else Decision.WATCHED) if near else Decision.NONE
        limit = self._modes[best.campaign_id].mode if best.campaign_id in self._modes else Mode.ENFORCE
        confirmed = decision is Decision.MATCH and best.label is Label.CONFIRMED
        would_block = confirmed and limit is Mode.ENFORCE
        return Match(
            block=would_block and mode is Mode.ENFORCE,
            reason=f"{decision}: {best.campaign_id}",
            mode=mode,
            decision=decision,
            campaign_id=best.campaign_id,
            level=best.level,
            similarity=best.similarity,
            threshold=best.threshold,
            p_background=0.001 if near else 0.5,
            typicality=best.typicality,
            alpha=0.001,
            false_positive_bound=0.003,
            background_size=1000,
            view=best.view,
            nearest=tuple(ranked[:top_k]),
            generation=self.generation,
            encoder=ENCODER,
            truncated=False,
            grounds=(Ground.WHOLE, Ground.TEMPLATE) if decision is Decision.MATCH else (),
            would_block=would_block,
        )

    def keys(self) -> Keyring:
        return self.keyring

    def known_answer(self, question: Question) -> Match | None:
        self._require_ready()
        return None

    def match_all(self, questions: Sequence[Question]) -> list[Match]:
        for each in questions:
            self.admit(each)
        return [self.match(each.prompt, each.mode, each.top_k) for each in questions]

    def search(self, query: SearchQuery) -> SearchPage:
        self._require_ready()
        hits = sorted((self._hit(each, query.text) for each in self._campaigns), key=lambda hit: -hit.similarity)
        hits = [hit for hit in hits if query.campaign_id in (None, hit.campaign_id)]
        return self._page(hits, query.limit, query.offset)

    def campaigns(self) -> tuple[Campaign, ...]:
        self._require_ready()
        return self._campaigns

    def campaign(self, campaign_id: str) -> Campaign:
        for each in self.campaigns():
            if campaign_id in (each.campaign_id, *each.formerly):
                return each
        raise UnknownCampaign(f"no campaign {campaign_id!r} in generation {GENERATION}")

    def campaign_prompts(self, campaign_id: str, limit: int, offset: int) -> SearchPage:
        return self._page([self._hit(self.campaign(campaign_id), "")], limit, offset)

    def casebook(self) -> MemoryCasebook:
        return MemoryCasebook(self.campaigns(), self.is_mapped, self.members)

    def record(self, act: Act) -> None:
        self.recorded.append(act)

    def share_in(self, campaigns: Sequence[SharedCampaign], author: str) -> None:
        for each in campaigns:
            self._bank.append(BankEntry(len(self._bank) + 1, each, author, NOW))

    def forget_shared(self, number: int) -> None:
        if number not in {each.number for each in self._bank}:
            raise NotFound(f"the bank has no entry {number}")
        self._bank = [each for each in self._bank if each.number != number]

    def bank(self) -> list[BankEntry]:
        return [each for each in self._bank[::-1] if each.campaign.until > NOW]

    def acts(self, *subjects: str, kind: ActKind | None = None, most: int = 20) -> list[Act]:
        about = [each for each in self.recorded[::-1] if each.subject in subjects]
        return [each for each in about if kind in (None, each.kind)][:most]

    def labels(self) -> dict[str, CampaignLabel]:
        return dict(self._labels)

    def put_label(self, label: CampaignLabel) -> CampaignLabel:
        self._labels[label.campaign_id] = label
        return label

    def campaign_modes(self) -> dict[str, CampaignMode]:
        return dict(self._modes)

    def put_campaign_mode(self, mode: CampaignMode) -> CampaignMode:
        self._modes[mode.campaign_id] = mode
        return mode

    def allowances(self) -> list[Allowance]:
        return [rule for rule in self._rules if rule is not None]

    def allow(self, rule: Allowance) -> Allowance:
        for each in self.allowances():
            if (each.kind, each.value) == (rule.kind, rule.value):
                return each
        self._rules.append(replace(rule, rule_id=len(self._rules) + 1))
        return self._rules[-1]  # type: ignore[return-value]

    def disallow(self, rule_id: int, author: str) -> None:
        if not 0 < rule_id <= len(self._rules) or self._rules[rule_id - 1] is None:
            raise UnknownAllowance(f"there is no allow-list rule {rule_id}")
        self._rules[rule_id - 1] = None

    def add_blocks(self, found: Sequence[Block]) -> None:
        self._blocks += found

    def blocks(self, query: BlockQuery) -> list[tuple[int, Block]]:
        numbered = [*enumerate(self._blocks, 1)][::-1]
        return [(n, one) for n, one in numbered if query.campaign_id in (None, one.campaign_id)][: query.limit]

    def events(self) -> list[Event]:
        return list(self._events.values())

    def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport:
        before, reasons = len(self._events), Counter[str]()
        for row in rows:
            try:
                event = parse_event(row, NOW)
            except BadEvent as error:
                reasons[str(error)] += 1
            else:
                self._events.setdefault(event.event_id, event)
        stored, rejected = len(self._events) - before, reasons.total()
        return IngestReport(
            read=len(rows),
            stored=stored,
            duplicate=len(rows) - stored - rejected,
            rejected=rejected,
            rejects="/somewhere/rejects/http.jsonl" if rejected else None,
            reasons=dict(reasons),
            seconds=0.25,
        )

    def status(self) -> Status:
        if not self.published:
            return Status(
                None, None, None, None, 7, 0, 0, 0, 0, None, Health.NOT_READY, "nothing is published", {}
            )
        made = NOW - timedelta(minutes=5)
        return Status(self.generation, made, 300.0, 100, 107, 100, 80, 2, 1, ENCODER, self.health, "", {"free": 5})

    def _require_ready(self) -> None:
        if not self.published:
            raise NotReady("no generation is published yet")

    def _nearest(self, campaign: Campaign, prompt: Prompt) -> Nearest:
        label = self._labels.get(campaign.campaign_id)
        similarity = cosine(prompt.user, campaign.exemplars[0].text)
        verdict = label.label if label else None
        seen = ViewSimilarity(View.WHOLE, similarity, THRESHOLD)
        near = (View.WHOLE, similarity, THRESHOLD)
        return Nearest(campaign.campaign_id, campaign.level, verdict, *near, 1.0, (seen,))

    def _hit(self, campaign: Campaign, text: str) -> SearchHit:
        return hit_of(campaign, cosine(text, campaign.exemplars[0].text))

    def _page(self, hits: list[SearchHit], limit: int, offset: int) -> SearchPage:
        facets = {"campaign": {hit.campaign_id or "": hit.events for hit in hits}}
        return SearchPage(
            hits=tuple(hits[offset : offset + limit]),
            offset=offset,
            exhausted=offset + limit >= len(hits),
            facets=facets,
            generation=self.generation,
            encoder=ENCODER,
        )


class BrokenEngine(MemoryEngine):
    """An engine that fails in ways nobody foresaw, quoting the prompt as it does."""

    def match(self, prompt: Prompt, mode: Mode, top_k: int) -> Match:
        raise ValueError(f"cannot digest {prompt.user}")


class SwappingEngine(MemoryEngine):
    """An engine that loads another generation at each look."""

    def refresh(self) -> bool:
        super().refresh()
        self.generation = f"g-{self.refreshes:04}"
        return True


def child(code: str) -> list[str]:
    """Command line of a Python child that runs `code`."""
    return [sys.executable, "-S", "-c", code]


def records_aside() -> JobRecords:
    """Records in a folder of their own, which is gone when the tests are."""
    return JobRecords(Path(_ASIDE.name) / uuid4().hex)


def quick_jobs() -> Jobs:
    """Jobs whose child reports at once whether it was asked for a full run."""
    reindex = lambda full: child(f"print('{{\"full\": {str(full).lower()}}}')")  # noqa: E731
    return Jobs(records_aside(), reindex, lambda: NOW, {MAP_JOB: child("print('{}')")})


def make_app(
    engine: MemoryEngine,
    jobs: Jobs | None = None,
    limits: Limits | None = None,
    mode: Mode = Mode.AUDIT,
    keys_required: bool = False,
    remember: bool = False,
    tracing: Tracing = NO_TRACING,
) -> FastAPI:
    """The real application over `engine`, at a fixed time."""
    made = jobs or quick_jobs()
    manner = Manner(limits or Limits(), 0.01, mode, keys_required, remember)
    return create_app(engine, made, lambda: NOW, manner, tracing)


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks ASGI to the running application, errors included."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://stillwatch") as client:
            yield client


async def label(api: httpx.AsyncClient, campaign_id: str, name: str) -> None:
    """Record a label, as an analyst does."""
    answer = await api.put(f"/v1/campaigns/{campaign_id}/label", json={"label": name, "author": "mira"})
    assert answer.status_code == 200
