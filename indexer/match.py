"""Which campaign a prompt resembles: the same views, vectors and thresholds as at reindexing.

Everything needed lies in memory; no database is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.confidence import Confidence
from indexer.encode import Encoder
from indexer.exemplars import ViewExemplars, margins, nearest_by_campaign
from indexer.feedback import Verdicts
from indexer.generation import Generation
from indexer.grams import HotGrams, token_table
from indexer.grounds import ENOUGH, grounds_of
from indexer.index import CodeIndex
from indexer.recurring import recurring_texts
from indexer.shortlist import LISTED, Shortlist, codes_of
from indexer.sketch import SketchedEncoder
from indexer.vectors import FloatArray, normalise
from models.campaign import Campaign
from models.generation import Manifest
from models.match import Decision, Ground, Match, Nearest, Question, ViewSimilarity
from models.mode import Mode
from models.prompt import Prompt
from models.text import FINGERPRINT_BYTES, fingerprint
from models.view import View

IntArray = NDArray[np.int64]

_EXACT_COSINE: Final = 1.0
_ABOVE_MARGINS: Final = 4.0  # margins are differences of two cosines
_NO_VECTORS: Final = np.zeros((0, 0), np.float32)
TYPICAL: Final = 0.01  # a prompt farther out than 99 % of a campaign's own is a variant of it at most
_REASONS: Final = {
    Decision.MATCH: "The prompt resembles a campaign.",
    Decision.RELATED: "The prompt resembles a variant of a campaign.",
    Decision.WATCHED: "The prompt resembles a group that is watched.",
    Decision.NONE: "The prompt resembles no campaign.",
    Decision.UNKNOWN: "The prompt was not examined.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one prompt shows of some campaigns.

    campaigns: (n,) int64, their numbers, ascending. margin: (n,) float32, the best view's cosine minus its
    threshold, -2 where no view can tell. cosines: (views, n) float32, -1 where a view cannot. view: (n,) int64,
    the best one's place in the matcher's views. own: place among these campaigns of the one that the very same
    prompt is a member of, -1 if it is of none.
    """

    campaigns: IntArray
    margin: FloatArray
    cosines: FloatArray
    view: IntArray
    own: int


class Matcher:
    """Answers for one generation. Immutable after construction, so any number of threads may use it."""

    def __init__(self, generation: Generation, encoder: Encoder) -> None:
        self.manifest: Manifest = generation.manifest
        self._encoders: Mapping[View, Encoder] = view_encoders(encoder)
        for view, space in self.manifest.spaces.items():
            space.require(self._encoders[view].space)
        self.campaigns: tuple[Campaign, ...] = generation.value(layout.CAMPAIGNS, tuple[Campaign, ...])
        self._alarmed = np.array([each.level.is_alarm for each in self.campaigns], bool)
        self._hot: dict[View, HotGrams] = {
            view: HotGrams(
                np.asarray(generation.array(layout.hot_grams_file(view)), np.uint64),
                np.asarray(generation.array(layout.deep_grams_file(view)), bool),
            )
            for view in (View.RECURRING, View.SYSTEM)
        }
        self._exemplars = tuple(self._read(generation, view) for view in self._encoders)
        self._shortlists = tuple(
            Shortlist(each, len(self.campaigns), self._codes(generation, each)) for each in self._exemplars
        )
        self.confidence = Confidence.of(np.asarray(generation.array(layout.BACKGROUND), np.float32))
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        fingerprints = np.ascontiguousarray(generation.array(layout.FINGERPRINTS))
        self._fingerprints = fingerprints.view(f"V{FINGERPRINT_BYTES}").ravel()
        self._high = fingerprints[:, :8].copy().view(">u8").ravel().astype(np.uint64)

    def match(self, questions: Sequence[Question], verdicts: Verdicts) -> list[Match]:
        """The answer to each question; verdicts come with every call, so what an analyst says counts at once."""
        asked = [each for each in questions if each.mode is not Mode.OFF]
        listed = max((each.top_k for each in asked), default=0)
        findings = iter(self.examine([each.prompt for each in asked], listed))
        return [
            self._answer(Decision.UNKNOWN, each.mode, 1.0, ())
            if each.mode is Mode.OFF
            else self._judge(each, next(findings), verdicts)
            for each in questions
        ]

    def _judge(self, question: Question, finding: Finding, verdicts: Verdicts) -> Match:
        order = self._order(finding, verdicts)
        p_background = self._p_background(finding)
        decision = self._decision(finding, order[0], p_background, verdicts) if order else Decision.NONE
        nearest = tuple(self._describe(finding, place, verdicts) for place in order[: question.top_k])
        if decision is not Decision.MATCH:
            return self._answer(decision, question.mode, p_background, nearest)
        first = self._campaign(finding, order[0])
        grounds = grounds_of(nearest[0], first, question.prompt)
        would_block = verdicts.is_blockable(first) and len(grounds) >= ENOUGH
        return self._answer(decision, question.mode, p_background, nearest, grounds, would_block)

    def examine(self, prompts: Sequence[Prompt], listed: int = LISTED) -> list[Finding]:
        """Margins of each prompt to the campaigns that it reaches, to the `listed` nearest, and to the nearest
        alarmed one. Together they cost less than alone.
        """
        return [
            self._finding(form, vectors, self._worth(vectors, listed)) for form, vectors in self._seen(prompts)
        ]

    def _seen(self, prompts: Sequence[Prompt]) -> list[tuple[Prompt, tuple[FloatArray, ...]]]:
        """Each prompt in canonical form, and its vectors in each view, in the order of the shortlists."""
        forms = [prompt.canonical() for prompt in prompts]
        user, system = [form.user for form in forms], [form.system for form in forms]
        vectors = {
            View.WHOLE: _where_any(user, self._encoders[View.WHOLE].encode_windows),
            View.RECURRING: self._recurring(View.RECURRING, user),
            View.SYSTEM: self._recurring(View.SYSTEM, system),
        }
        rows = zip(*(vectors[each.view] for each in self._exemplars), strict=True)
        return list(zip(forms, rows, strict=True))

    def _worth(self, vectors: Sequence[FloatArray], listed: int) -> set[int]:
        """The campaigns to look at in all views, as one of them may reach them or lists them."""
        both = zip(self._shortlists, vectors, strict=True)
        return {place for each, queries in both for place in each.worth(queries, listed, self._alarmed).tolist()}

    def _recurring(self, view: View, texts: Sequence[str]) -> list[FloatArray]:
        """Vector of the recurring text of each canonical text, (1, d), or none, (0, d)."""

        def encoded(some: Sequence[str]) -> list[FloatArray]:
            recurring = recurring_texts(some, token_table(some), self._hot[view])
            return _where_any(recurring, lambda found: list(self._encoders[view].encode(found)[:, None]))

        return _where_any(texts, encoded)

    def _finding(self, form: Prompt, vectors: Sequence[FloatArray], worth: set[int]) -> Finding:
        """What a prompt in canonical form shows of the campaigns that are `worth` a look and of its own, given its
        vectors.
        """
        own = self._member(fingerprint(form.system, form.user))
        places = sorted(worth if own < 0 else worth | {own})
        campaigns = np.array(places, np.int64)
        both = zip(self._shortlists, vectors, strict=True)
        near = [each.nearest(queries, campaigns)[None] for each, queries in both]
        margin, view = margins(near, [each.needed[campaigns] for each in self._shortlists], 1, len(places))
        return Finding(campaigns, margin[0], np.concatenate(near), view[0], places.index(own) if own >= 0 else -1)

    def _campaign(self, finding: Finding, place: int) -> Campaign:
        return self.campaigns[int(finding.campaigns[place])]

    def compared(self, prompts: Sequence[Prompt], campaign: int) -> list[tuple[ViewSimilarity, ...]]:
        """What each view that can tell shows of each prompt and one campaign, by its number, whether the prompt is
        a member or not. Nothing for a campaign of one repeated prompt, which has no exemplars.
        """
        return [self._compared(self._finding(*each, {campaign}), campaign) for each in self._seen(prompts)]

    def _compared(self, finding: Finding, campaign: int) -> tuple[ViewSimilarity, ...]:
        cosines = finding.cosines[:, finding.campaigns.tolist().index(campaign)].tolist()
        return self._view_similarities(cosines, campaign)

    def _view_similarities(self, cosines: Sequence[float], campaign: int) -> tuple[ViewSimilarity, ...]:
        return tuple(
            ViewSimilarity(each.view, cosine, each.thresholds[campaign].threshold)
            for each, cosine in zip(self._exemplars, cosines, strict=True)
            if campaign in each.thresholds and cosine > -1
        )

    def side_by_side(self, prompts: Sequence[Prompt]) -> FloatArray:
        """What the views show of each prompt in one row, (n, d): the middle of its windows, its recurring and its
        system text, each a unit row, or zeros where it has none.
        """
        seen = self._seen(prompts)
        parts = []
        for at, each in enumerate(self._exemplars):
            part = np.zeros((len(prompts), each.vectors.shape[1]), np.float32)
            for row, (_, vectors) in enumerate(seen):
                if len(vectors[at]):
                    part[row] = normalise(vectors[at].mean(axis=0, keepdims=True))[0]
            parts.append(part)
        rows: FloatArray = np.concatenate(parts, axis=1)
        return rows

    def nearness(self, view: View, queries: FloatArray) -> FloatArray:
        """Greatest cosine of any of these unit rows, (m, d), to each campaign's exemplars in a view, (campaigns,);
        -1 for those that have none there.
        """
        found = next(each for each in self._exemplars if each.view is view)
        near = nearest_by_campaign(queries, found.vectors, found.owners, len(self.campaigns))
        best: FloatArray = near.max(axis=0, initial=-1.0)
        return best

    def exemplars_of(self, view: View, campaign: int) -> FloatArray:
        """The exemplars of a campaign, by its number, in one view: (m, d) unit rows."""
        found = next(each for each in self._exemplars if each.view is view)
        vectors: FloatArray = found.vectors[found.owners == campaign]
        return vectors

    def _order(self, finding: Finding, verdicts: Verdicts) -> list[int]:
        """Campaigns by what a gateway should hear of first: a confirmed one that the prompt is typical of, so that
        none hides it; the one the very prompt belongs to; other alarmed ones that it reaches, the typical first;
        then the rest. By margin within each rank; those that no view can tell of are left out.
        """
        rank = finding.margin.copy()
        for place in np.flatnonzero(finding.margin >= 0).tolist():
            campaign = self._campaign(finding, place)
            if verdicts.is_alarm(campaign):
                typical = self._typicality(finding, place) >= TYPICAL
                rank[place] += _ABOVE_MARGINS * ((4 if verdicts.is_confirmed(campaign) else 2) if typical else 1)
        if finding.own >= 0:
            confirmed = verdicts.is_confirmed(self._campaign(finding, finding.own))
            rank[finding.own] = _ABOVE_MARGINS * (5 if confirmed else 3.5)
        order = np.argsort(-rank, kind="stable")
        told: list[int] = order[rank[order] > -2].tolist()
        return told

    def _decision(self, finding: Finding, place: int, p_background: float, verdicts: Verdicts) -> Decision:
        if finding.margin[place] < 0 and place != finding.own:
            return Decision.NONE
        if not verdicts.is_alarm(self._campaign(finding, place)):
            return Decision.WATCHED
        if place == finding.own:
            return Decision.MATCH
        # A watched group that an analyst confirmed has no rank among the background: the analyst answers for it.
        common = bool(self._alarmed[finding.campaigns[place]]) and p_background > self.confidence.alpha
        return Decision.RELATED if common or self._typicality(finding, place) < TYPICAL else Decision.MATCH

    def _similarity(self, finding: Finding, place: int) -> float:
        return float(finding.cosines[finding.view[place], place])

    def _typicality(self, finding: Finding, place: int) -> float:
        threshold = self._exemplars[int(finding.view[place])].thresholds[int(finding.campaigns[place])]
        return threshold.typicality(self._similarity(finding, place))

    def _describe(self, finding: Finding, place: int, verdicts: Verdicts) -> Nearest:
        number = int(finding.campaigns[place])
        campaign = self.campaigns[number]
        label = verdicts.label(campaign)
        views = self._view_similarities(finding.cosines[:, place].tolist(), number)
        if place == finding.own:
            exact = (_EXACT_COSINE, _EXACT_COSINE)
            return Nearest(campaign.campaign_id, campaign.level, label, View.EXACT, *exact, 1.0, views)
        exemplars = self._exemplars[int(finding.view[place])]
        return Nearest(
            campaign_id=campaign.campaign_id,
            level=campaign.level,
            label=label,
            view=exemplars.view,
            similarity=self._similarity(finding, place),
            threshold=exemplars.thresholds[number].threshold,
            typicality=self._typicality(finding, place),
            views=views,
        )

    def _p_background(self, finding: Finding) -> float:
        """Conformal p-value: share of background prompts with at least this margin to any alarmed campaign."""
        alarmed = self._alarmed[finding.campaigns]
        margin = finding.margin[alarmed].max(initial=-2.0)
        if finding.own >= 0 and alarmed[finding.own]:
            margin = max(margin, np.float32(0.0))
        return self.confidence.p_value(float(margin))

    def _answer(
        self,
        decision: Decision,
        mode: Mode,
        p_background: float,
        nearest: tuple[Nearest, ...],
        grounds: tuple[Ground, ...] = (),
        would_block: bool = False,
    ) -> Match:
        first = nearest[0] if nearest else None
        return Match(
            block=would_block and mode is Mode.ENFORCE,
            reason=_REASONS[decision],
            mode=mode,
            decision=decision,
            campaign_id=first.campaign_id if first else None,
            level=first.level if first else None,
            similarity=first.similarity if first else None,
            threshold=first.threshold if first else None,
            p_background=p_background,
            typicality=first.typicality if first else None,
            alpha=self.confidence.alpha,
            false_positive_bound=self.confidence.bound,
            background_size=len(self.confidence.margins),
            view=first.view if first else None,
            nearest=nearest,
            generation=self.manifest.generation,
            encoder=self.manifest.spaces[View.WHOLE].key,
            truncated=False,
            grounds=grounds,
            would_block=would_block,
        )

    def _member(self, fingerprint: bytes) -> int:
        """Campaign number of the stored prompt with this fingerprint, -1 if there is none."""
        wanted = int.from_bytes(fingerprint[:8], "big")
        start = int(np.searchsorted(self._high, np.uint64(wanted), side="left"))
        end = int(np.searchsorted(self._high, np.uint64(wanted), side="right"))
        same = [place for place in range(start, end) if self._fingerprints[place].tobytes() == fingerprint]
        return int(self._group[same[0]]) if same else -1

    def _read(self, generation: Generation, view: View) -> ViewExemplars:
        owners = np.asarray(generation.array(layout.exemplar_owners_file(view)), np.int64)
        thresholds = {
            place: threshold
            for place, campaign in enumerate(self.campaigns)
            for threshold in campaign.thresholds
            if threshold.view is view
        }
        vectors = np.asarray(generation.array(layout.exemplar_vectors_file(view)), np.float32)
        return ViewExemplars(view, vectors, owners, np.full(len(owners), -1), thresholds)

    def _codes(self, generation: Generation, exemplars: ViewExemplars) -> CodeIndex | None:
        name = layout.exemplar_codes_file(exemplars.view)
        return generation.codes(name) if generation.holds(name) else codes_of(exemplars, len(self.campaigns))


def view_encoders(encoder: Encoder) -> dict[View, Encoder]:
    """The encoder of each view that has vectors. Recurring text is short and literal: there the words
    themselves tell as much as their meaning.
    """
    sketched = SketchedEncoder(encoder)
    return {View.WHOLE: encoder, View.RECURRING: sketched, View.SYSTEM: sketched}


def _where_any(texts: Sequence[str], encode: Callable[[Sequence[str]], list[FloatArray]]) -> list[FloatArray]:
    """Vectors of each text, none of an empty one; `encode` sees only the others, if there are any."""
    some = [text for text in texts if text]
    found = iter(encode(some) if some else ())
    return [next(found) if text else _NO_VECTORS for text in texts]
