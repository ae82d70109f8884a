"""The engine: everything a caller can ask, over one data directory. HTTP and the command line both use it."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from indexer import prompt_map
from indexer.answers import Answers
from indexer.casebook import Casebook
from indexer.depot import Depot
from indexer.disk import disk_use
from indexer.encode import Encoder, load_encoder
from indexer.feedback import Verdicts, allowed_campaigns, verdicts_now
from indexer.generation import (
    NOTHING_PUBLISHED,
    Generation,
    current_id,
    first_good,
    load_current,
    open_current,
)
from indexer.ingest import ingest_rows
from indexer.match import Matcher
from indexer.progress import Progress
from indexer.published import urgent_first
from indexer.search import Searcher
from indexer.settings import Settings
from indexer.store import Store
from models.act import Act, ActKind
from models.allowance import Allowance
from models.block import Block, BlockQuery
from models.campaign import Campaign, CampaignLabel
from models.errors import (
    GenerationDamaged,
    NotReady,
    PromptTooLarge,
    StillwatchError,
    StorageUnusable,
    Unreachable,
)
from models.generation import Manifest
from models.key import Keyring
from models.match import Match, Question
from models.mode import CampaignMode, Mode
from models.prompt import Prompt
from models.report import IngestReport, MapReport
from models.search import SearchPage, SearchQuery
from models.shared import BankEntry, SharedCampaign
from models.status import Health, Status
from models.storable import storable_json
from models.text import unfolded_length
from models.view import View

log = logging.getLogger(__name__)

_Said = tuple[Mapping[str, CampaignLabel], Mapping[str, CampaignMode], Mapping[str, Allowance]]

STALE_AFTER_S: Final = 48 * 3600.0
_RETRY: Final = timedelta(seconds=30)  # until a generation that could not be loaded is tried again
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One generation ready to answer. Replaced as a whole, so no answer ever mixes two."""

    matcher: Matcher
    searcher: Searcher
    casebook: Casebook


def status_of(
    stored: Mapping[str, int], manifest: Manifest | None, now: datetime, trouble: str, disk: Mapping[str, int]
) -> Status:
    """Status of a store, by its counts, and the generation that serves it, None if there is none. trouble: what is
    wrong with the newest generation or the store, "" if nothing. disk: see `indexer.disk`.
    """
    if manifest is None:
        detail = trouble or NOTHING_PUBLISHED
        return Status(
            None,
            None,
            None,
            None,
            stored["events"],
            0,
            stored["prompts"],
            0,
            0,
            None,
            Health.NOT_READY,
            detail,
            disk,
        )
    age_s = (now - manifest.created_at).total_seconds()
    waiting = stored["events"] - manifest.counts["events"]
    health, detail = Health.OK, ""
    if trouble:
        health, detail = Health.DEGRADED, trouble
    elif age_s > STALE_AFTER_S and waiting:
        health, detail = Health.STALE, f"{waiting} events wait since {manifest.created_at.isoformat()}"
    return Status(
        generation=manifest.generation,
        created_at=manifest.created_at,
        age_s=age_s,
        watermark=manifest.watermark,
        events_stored=stored["events"],
        events_indexed=manifest.counts["events"],
        prompts=stored["prompts"],
        campaigns=manifest.counts["campaigns"],
        alarms=manifest.counts["alarms"],
        encoder=manifest.spaces[View.WHOLE].key,
        health=health,
        detail=detail,
        disk=disk,
    )


class Engine:
    """Thread-safe. Each call takes the current generation once and stays with it."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._encoders: dict[str, Encoder] = {}
        self._refreshing = threading.Lock()
        self._saying = threading.RLock()  # round what is stored and what is remembered of it
        self._loaded: _Loaded | None = None
        self._tried: str | None = None
        self._again = _NEVER
        self._trouble = ""
        self._depot = Depot(settings.depot) if settings.depot else None
        self._depot_trouble = ""
        self._fetch_again = datetime.min.replace(tzinfo=UTC)
        self._stored: Mapping[str, int] = {}  # as last counted
        self._labels: dict[str, CampaignLabel] = store.verdicts.labels()
        self._modes: dict[str, CampaignMode] = store.verdicts.modes()
        self._keys = Keyring(store.keys.all())
        self._allowed: dict[str, Allowance] = {}
        self._applied: tuple[tuple[Allowance, ...], _Loaded | None] = ((), None)
        said = (self._labels, self._modes, self._allowed)
        self._verdicts: tuple[_Said, Verdicts] = (said, verdicts_now(*said, clock()))
        self._remembered: Answers | None = None

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> "Engine":
        """Engine of a data directory, with its current generation if there is one."""
        settings.data.mkdir(parents=True, exist_ok=True)
        engine = cls(settings, Store.open(settings.database), clock)
        engine.refresh()
        return engine

    def close(self) -> None:
        """Gives back the database connections."""
        self._store.close()

    def refresh(self) -> bool:
        """Loads the generation that is current now, if it is another one, and reads verdicts and keys again.

        Gives whether a new generation was loaded. If the new one is damaged, the one in memory goes on
        serving; without one in memory the newest good one is taken.
        """
        self.heed()
        with self._refreshing:
            self._fetch()
            return self._refreshed()

    def heed(self) -> None:
        """Takes over labels, modes, allow-list and keys that another process stored; no generation is loaded."""
        with self._saying:  # or what is said meanwhile would be forgotten until the next look
            self._keys = Keyring(self._store.keys.all())
            labels, modes = self._store.verdicts.labels(), self._store.verdicts.modes()
            if labels != self._labels:
                self._labels = labels
            if modes != self._modes:
                self._modes = modes
            self._apply_rules(self._loaded)

    def _fetch(self) -> None:
        """Fetches what another machine left at the depot. If refused, it is asked for again after a while."""
        if self._depot is None or self._clock() < self._fetch_again:
            return
        try:
            self._depot.fetch(self._settings.generations, self._settings.kept_generations)
            self._depot_trouble = ""
        except (Unreachable, GenerationDamaged, OSError) as error:
            log.error("depot_refused reason=%s", error)
            self._depot_trouble, self._fetch_again = str(error), self._clock() + _RETRY

    def _refreshed(self) -> bool:
        name = current_id(self._settings.generations)
        if name is None or (name == self._tried and self._clock() < self._again):
            return False
        self._tried, self._again = name, self._clock() + _RETRY
        try:
            load = first_good if self._loaded is None else load_current
            loaded = load(self._settings.generations, self._load)
        except StillwatchError as error:
            log.error("generation_refused generation=%s reason=%s", name, error)
            self._trouble = str(error)
            if self._loaded is None and not isinstance(error, GenerationDamaged):
                raise
            return False
        served = loaded.matcher.manifest.generation
        self._trouble = "" if served == name else f"generation {name} is damaged; {served} serves instead"
        if served == name:
            self._again = _NEVER
        with self._saying:
            self._apply_rules(loaded)
            self._loaded = loaded
        log.info("generation_loaded generation=%s", served)
        return True

    def _apply_rules(self, loaded: _Loaded | None) -> None:
        """Under the lock: finds out anew which campaigns the rules explain that hold, if either has changed."""
        now = self._clock()
        rules = tuple(rule for rule in self._store.verdicts.allowances() if rule.holds(now))
        if (rules, loaded) != self._applied:
            self._allowed = (
                allowed_campaigns(loaded.casebook.campaigns, rules, loaded.casebook.sent_by) if loaded else {}
            )
            self._applied = (rules, loaded)

    def ready(self) -> bool:
        """Whether a generation is loaded."""
        return self._loaded is not None

    def match(self, prompt: Prompt, mode: Mode = Mode.AUDIT, top_k: int = 5) -> Match:
        """What campaign a prompt resembles. Raises NotReady or PromptTooLarge."""
        return self.match_all([Question(prompt, mode, top_k)])[0]

    def match_all(self, questions: Sequence[Question]) -> list[Match]:
        """The answer to each question, all by one generation and the same verdicts. Raises NotReady, or
        PromptTooLarge if one prompt is.
        """
        for question in questions:
            self.admit(question)
        return self._answers().of(questions)

    def admit(self, question: Question) -> None:
        """Raises PromptTooLarge if the question is too long to be asked."""
        limit = self._settings.max_prompt_chars
        size = len(question.prompt.system) + len(question.prompt.user)
        if size > limit:
            raise PromptTooLarge(f"the prompt has {size} characters, more than {limit}")
        size = unfolded_length(question.prompt.system) + unfolded_length(question.prompt.user)
        if size > limit:  # one character can stand for eighteen
            raise PromptTooLarge(f"the prompt has {size} characters in canonical form, more than {limit}")

    def known_answer(self, question: Question) -> Match | None:
        """The answer to a question that was asked before, at once; None if it takes work. Raises NotReady."""
        return self._answers().known(question)

    def _answers(self) -> Answers:
        """The answers of what is loaded and said now."""
        matcher, verdicts, answers = self._current().matcher, self._verdicts_now(), self._remembered
        if answers is None or answers.matcher is not matcher or answers.verdicts is not verdicts:
            self._remembered = answers = Answers(matcher, verdicts)
        return answers

    def _verdicts_now(self) -> Verdicts:
        """What analysts said: the same object until anything of it is another, or runs out."""
        now, said = self._clock(), (self._labels, self._modes, self._allowed)
        known, verdicts = self._verdicts
        same = all(one is other for one, other in zip(known, said, strict=True))
        if not same or (verdicts.until is not None and verdicts.until <= now):
            verdicts = verdicts_now(*said, now)
            self._verdicts = (said, verdicts)
        return verdicts

    def search(self, query: SearchQuery) -> SearchPage:
        """Related prompts, nearest first. Raises NotReady or BadPrompt."""
        return self._current().searcher.search(query, self._store)

    def campaigns(self) -> tuple[Campaign, ...]:
        """All campaigns, most urgent first: by level, score and size. Raises NotReady."""
        return urgent_first(self._current().matcher.campaigns)

    def campaign(self, campaign_id: str) -> Campaign:
        """One campaign, by its id or by that of one that merged into it. Raises NotReady or UnknownCampaign."""
        return self.casebook().campaign(campaign_id)

    def campaign_prompts(self, campaign_id: str, limit: int, offset: int) -> SearchPage:
        """Prompts of a campaign with their cosine to its nearest exemplar, 1 if it has none, in the order of their
        fingerprints; of long ones both ends are compared. Raises NotReady, UnknownCampaign.
        """
        casebook = self.casebook()
        page, manifest = casebook.members(campaign_id, limit, offset), casebook.manifest
        return SearchPage(
            tuple(each.hit for each in page.prompts),
            offset,
            offset + limit >= page.total,
            {},
            manifest.generation,
            manifest.spaces[View.WHOLE].key,
        )

    def casebook(self) -> Casebook:
        """What an analyst reads, all of one generation. Raises NotReady."""
        return self._current().casebook

    def draw_map(self, progress: Progress) -> MapReport:
        """Draws the map of the current generation. Raises NotReady."""
        generation, matcher = open_current(self._settings.generations), self._current().matcher
        if generation.manifest.generation != matcher.manifest.generation:
            raise NotReady("another generation was published just now; ask again")
        drawn = prompt_map.draw(generation, matcher, self._store, self._settings.maps, progress)
        progress.done()
        return MapReport(drawn.generation, len(drawn.prints))

    def labels(self) -> dict[str, CampaignLabel]:
        """The labels by campaign id: those given, run out or not; for others that of an allow-list rule."""
        return {**self._verdicts_now().labels, **self._labels}

    def put_label(self, label: CampaignLabel) -> CampaignLabel:
        """Stores a label; the next match call reads it."""
        with self._saying:
            self._store.verdicts.put_label(label)
            self._labels = {**self._labels, label.campaign_id: label}
        return label

    def campaign_modes(self) -> dict[str, CampaignMode]:
        """The most that may be done about campaigns, by their ids; enforce for those that are not named."""
        return dict(self._modes)

    def put_campaign_mode(self, mode: CampaignMode) -> CampaignMode:
        """Stores the mode of a campaign; the next match call heeds it."""
        with self._saying:
            self._store.verdicts.put_mode(mode)
            self._modes = {**self._modes, mode.campaign_id: mode}
        return mode

    def allowances(self) -> list[Allowance]:
        """The allow-list rules that were not taken back, oldest first."""
        return self._store.verdicts.allowances()

    def allow(self, rule: Allowance) -> Allowance:
        """Stores an allow-list rule; the next match call heeds it."""
        stored = self._store.verdicts.allow(rule)
        self.heed()
        return stored

    def disallow(self, rule_id: int, author: str) -> None:
        """Takes a rule back. Raises UnknownAllowance."""
        self._store.verdicts.disallow(rule_id, author, self._clock())
        self.heed()

    def keys(self) -> Keyring:
        """The API keys, as of the last refresh."""
        return self._keys

    def add_blocks(self, found: Sequence[Block]) -> None:
        """Keeps blocks; they are on disk when this returns."""
        self._store.blocks.add(found)

    def blocks(self, query: BlockQuery) -> list[tuple[int, Block]]:
        """Blocks with their numbers, the newest first."""
        return self._store.blocks.find(query)

    def record(self, act: Act) -> None:
        """Keeps an act; it is on disk when this returns."""
        self._store.acts.add(act)

    def acts(self, *subjects: str, kind: ActKind | None = None, most: int = 20) -> list[Act]:
        """The last acts about campaigns, by their ids, or accounts, by their pseudonyms, the newest first; of one
        kind only if it is given.
        """
        return self._store.acts.of(subjects, most, kind)

    def share_in(self, campaigns: Sequence[SharedCampaign], author: str) -> None:
        """Puts campaigns that others told of into the bank, which no match reads."""
        self._store.bank.add(campaigns, author, self._clock())

    def forget_shared(self, number: int) -> None:
        """Takes an entry out of the bank. Raises NotFound."""
        self._store.bank.remove(number)

    def bank(self) -> list[BankEntry]:
        """What others told of and is not to be forgotten yet, the newest first."""
        return self._store.bank.entries(self._clock())

    def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport:
        """Stores events given as rows of the event format; they are on disk when this returns. Raises
        StorageUnusable if the disk does not take them.
        """
        try:
            return ingest_rows(rows, self._store, self._settings.rejects, self._clock)
        except OSError as error:
            raise StorageUnusable(f"{self._settings.rejects} takes nothing now: {error.strerror}") from error

    def remember(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores prompts that were asked about as events. One of an id that is taken was asked about again, and so
        is no second event.
        """
        ingest_rows([storable_json(row) for row in rows], self._store, None, self._clock)

    def status(self) -> Status:
        """How the engine is. Never raises for want of a generation; while the store is not to be had it counts as
        degraded and as large as it was, since matching goes on without it.
        """
        manifest = self._loaded.matcher.manifest if self._loaded else None
        trouble = self._trouble or self._depot_trouble
        try:
            self._stored = self._store.counts()
        except StorageUnusable as error:
            trouble = trouble or str(error)
        stored = self._stored or (manifest.counts if manifest else {"events": 0, "prompts": 0})
        return status_of(stored, manifest, self._clock(), trouble, disk_use(self._settings.data))

    def _load(self, generation: Generation) -> _Loaded:
        encoder = self._encoder_of(generation)
        matcher = Matcher(generation, encoder)
        searcher = Searcher(generation, encoder, matcher.campaigns)
        return _Loaded(
            matcher, searcher, Casebook(generation, matcher, searcher, self._store, self._settings.maps)
        )

    def _encoder_of(self, generation: Generation) -> Encoder:
        """The encoder the generation was made with; loading checks that it is the very same space."""
        name = generation.manifest.parameters.get("encoder", self._settings.encoder)
        if name not in self._encoders:
            self._encoders[name] = load_encoder(name, self._settings.weights)
        return self._encoders[name]

    def _current(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None:
            raise NotReady(self._trouble or NOTHING_PUBLISHED)
        return loaded
