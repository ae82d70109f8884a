"""Which campaign a prompt resembles: the same views, vectors and thresholds as at reindexing, for one prompt.

Everything needed lies in memory; no database is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.encode import Encoder, FloatArray
from indexer.exemplars import ViewExemplars, margins, nearest_by_campaign
from indexer.generation import Generation
from indexer.grams import HotGrams
from indexer.recurring import recurring_text
from indexer.sketch import SketchedEncoder
from models.campaign import Campaign, CampaignLabel, Label, Level
from models.generation import Manifest
from models.match import Decision, Match, Mode, Nearest
from models.prompt import Prompt
from models.text import FINGERPRINT_BYTES
from models.view import View

IntArray = NDArray[np.int64]

_EXACT_COSINE: Final = 1.0
_ABOVE_MARGINS: Final = 4.0  # margins are differences of two cosines
_REASONS: Final = {
    Decision.MATCH: "The prompt resembles a campaign.",
    Decision.WATCHED: "The prompt resembles a group that is watched.",
    Decision.NONE: "The prompt resembles no campaign.",
    Decision.UNKNOWN: "The prompt was not examined.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one prompt shows. margin, cosine: (campaigns,) float32, the best view's cosine minus its threshold,
    and the cosine itself; -2 and -1 where no view can tell. view: (campaigns,) int64, place in the matcher's
    views. own: campaign number of the very same prompt, -1 if it is not a member of any.
    """

    margin: FloatArray
    cosine: FloatArray
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
        self._background = np.asarray(generation.array(layout.BACKGROUND), np.float32)
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        fingerprints = np.ascontiguousarray(generation.array(layout.FINGERPRINTS))
        self._fingerprints = fingerprints.view(f"V{FINGERPRINT_BYTES}").ravel()
        self._high = fingerprints[:, :8].copy().view(">u8").ravel()

    def match(self, prompt: Prompt, mode: Mode, top_k: int, labels: Mapping[str, CampaignLabel]) -> Match:
        """The answer about one prompt; labels are read at every call, so a verdict counts at once."""
        if mode is Mode.OFF:
            return self._answer(Decision.UNKNOWN, mode, 1.0, (), block=False)
        finding = self.examine(prompt)
        nearest = self._nearest(finding, top_k, labels)
        margin = nearest[0].similarity - nearest[0].threshold if nearest else -2.0
        decision = Decision.NONE
        if nearest and margin >= 0:
            decision = Decision.MATCH if _is_alarm(nearest[0].level, nearest[0].label) else Decision.WATCHED
        confirmed = bool(nearest) and nearest[0].label is Label.CONFIRMED
        block = mode is Mode.ENFORCE and decision is Decision.MATCH and confirmed
        return self._answer(decision, mode, self._p_background(finding), nearest, block)

    def examine(self, prompt: Prompt) -> Finding:
        """Margins of one prompt to every campaign."""
        form = prompt.canonical()
        count = len(self.campaigns)
        texts = {
            View.WHOLE: self._encoders[View.WHOLE].windows(form.user) if form.user else [],
            View.RECURRING: _some(recurring_text(form.user, self._hot[View.RECURRING])),
            View.SYSTEM: _some(recurring_text(form.system, self._hot[View.SYSTEM])),
        }
        near = {each.view: self._nearest_of(each, texts[each.view], count) for each in self._exemplars}
        margin, view = margins(near, self._exemplars, count)
        cosines = np.stack([near[each.view][0] for each in self._exemplars]) if count else np.zeros((3, 0))
        cosine = cosines[view[0], np.arange(count)].astype(np.float32)
        return Finding(margin[0], cosine, view[0], self._member(form.fingerprint()))

    def similarity_to(self, prompt: Prompt, campaign: int) -> float:
        """Best cosine of a prompt to one campaign's exemplars over the campaign's views; 1 for a campaign of
        one repeated prompt, which has none.
        """
        finding = self.examine(prompt)
        return float(finding.cosine[campaign]) if finding.margin[campaign] > -2 else _EXACT_COSINE

    def _nearest_of(self, exemplars: ViewExemplars, texts: Sequence[str], campaigns: int) -> FloatArray:
        if not texts or not len(exemplars.owners):
            return np.full((1, campaigns), -1.0, np.float32)
        vectors = self._encoders[exemplars.view].encode(texts)
        near = nearest_by_campaign(vectors, exemplars.vectors, exemplars.owners, campaigns)
        best: FloatArray = near.max(axis=0, keepdims=True)
        return best

    def _nearest(self, finding: Finding, top_k: int, labels: Mapping[str, CampaignLabel]) -> tuple[Nearest, ...]:
        """The nearest campaigns by margin. First stands the one the very prompt belongs to; then the alarmed ones
        that it reaches, so that a watched look-alike that is nearer still hides none of them.
        """
        rank = finding.margin.copy()
        for place in np.flatnonzero(finding.margin >= 0):
            if _is_alarm(self.campaigns[place].level, _label_of(self.campaigns[place], labels)):
                rank[place] += _ABOVE_MARGINS
        if finding.own >= 0:
            rank[finding.own] = 2 * _ABOVE_MARGINS
        order = [int(place) for place in np.argsort(-rank, kind="stable")[:top_k] if rank[place] > -2]
        return tuple(self._describe(finding, place, labels) for place in order)

    def _describe(self, finding: Finding, place: int, labels: Mapping[str, CampaignLabel]) -> Nearest:
        campaign = self.campaigns[place]
        label = _label_of(campaign, labels)
        if place == finding.own:
            return Nearest(campaign.campaign_id, campaign.level, label, View.EXACT, _EXACT_COSINE, _EXACT_COSINE)
        exemplars = self._exemplars[int(finding.view[place])]
        return Nearest(
            campaign_id=campaign.campaign_id,
            level=campaign.level,
            label=label,
            view=exemplars.view,
            similarity=float(finding.cosine[place]),
            threshold=exemplars.thresholds[place].threshold,
        )

    def _p_background(self, finding: Finding) -> float:
        """Conformal p-value: share of background prompts with at least this margin to any alarmed campaign."""
        margin = finding.margin[self._alarmed].max(initial=-2.0)
        if finding.own >= 0 and self._alarmed[finding.own]:
            margin = max(margin, np.float32(0.0))
        reaching = len(self._background) - int(np.searchsorted(self._background, np.float32(margin), side="left"))
        return (1 + reaching) / (1 + len(self._background))

    def _answer(
        self, decision: Decision, mode: Mode, p_background: float, nearest: tuple[Nearest, ...], block: bool
    ) -> Match:
        first = nearest[0] if nearest else None
        return Match(
            block=block,
            reason=_REASONS[decision],
            mode=mode,
            decision=decision,
            campaign_id=first.campaign_id if first else None,
            level=first.level if first else None,
            similarity=first.similarity if first else None,
            threshold=first.threshold if first else None,
            p_background=p_background,
            view=first.view if first else None,
            nearest=nearest,
            generation=self.manifest.generation,
            encoder=self.manifest.spaces[View.WHOLE].key,
            truncated=False,
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


def view_encoders(encoder: Encoder) -> dict[View, Encoder]:
    """The encoder of each view that has vectors. Recurring text is short and literal: there the words
    themselves tell as much as their meaning.
    """
    sketched = SketchedEncoder(encoder)
    return {View.WHOLE: encoder, View.RECURRING: sketched, View.SYSTEM: sketched}


def _label_of(campaign: Campaign, labels: Mapping[str, CampaignLabel]) -> Label | None:
    given = labels.get(campaign.campaign_id)
    return given.label if given else None


def _is_alarm(level: Level, label: Label | None) -> bool:
    """What an analyst said counts for more than the score."""
    if label in (Label.BENIGN, Label.IGNORE_UNTIL):
        return False
    return level.is_alarm or label is Label.CONFIRMED


def _some(text: str) -> list[str]:
    return [text] if text else []
