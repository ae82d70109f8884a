"""What analysts said, brought to bear on campaigns: labels, and allow-lists that label by what a campaign is.

Nothing here is read when a generation is built, so no verdict ever moves a threshold or a weight.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from indexer.coverage import covered_share, said_in, templates_of
from indexer.verdicts import VerdictStore
from models.allowance import Allowance, AllowanceKind
from models.campaign import Campaign, CampaignLabel, Label, Level, level_now
from models.mode import CampaignMode, Mode

SentBy = Callable[[Collection[str]], Mapping[str, Mapping[str, int]]]
"""Events by campaign id and organisation, of the organisations that are named."""

COVERED: Final = 0.9  # of a campaign's events, or of its template's words, that allowances must explain


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What analysts said that holds now, by campaign id. modes: the most that may be done; enforce for others.
    until: when the first of it runs out, None for never.
    """

    labels: Mapping[str, CampaignLabel]
    modes: Mapping[str, CampaignMode]
    until: datetime | None = None

    def label(self, campaign: Campaign) -> Label | None:
        """The label of a campaign, None if it has none."""
        given = self.labels.get(campaign.campaign_id)
        return given.label if given else None

    def mode(self, campaign: Campaign) -> Mode:
        """The most that may be done about a campaign's prompts."""
        given = self.modes.get(campaign.campaign_id)
        return given.mode if given else Mode.ENFORCE

    def is_confirmed(self, campaign: Campaign) -> bool:
        """Whether an analyst confirmed it."""
        return self.label(campaign) is Label.CONFIRMED

    def is_alarm(self, campaign: Campaign) -> bool:
        """Whether its prompts match: it is alarmed or confirmed, not called benign, and not switched off."""
        return self.mode(campaign) is not Mode.OFF and level_now(campaign.level, self.label(campaign)).is_alarm

    def is_blockable(self, campaign: Campaign) -> bool:
        """Whether mode enforce may block its prompts."""
        return self.is_confirmed(campaign) and self.mode(campaign) is Mode.ENFORCE


def labels_now(
    labels: Mapping[str, CampaignLabel], allowed: Mapping[str, Allowance], now: datetime
) -> dict[str, CampaignLabel]:
    """The labels that hold now, by campaign id: those given and not run out; else that of an allowance."""
    found = {
        name: CampaignLabel(
            name, Label.BENIGN, f"allowed by rule {rule.rule_id}", rule.author, rule.at, rule.until
        )
        for name, rule in allowed.items()
        if rule.holds(now)
    }
    for name, label in labels.items():
        if label.label is not Label.IGNORE_UNTIL or (label.until is not None and label.until > now):
            found[name] = label
    return found


def labels_given(
    store: VerdictStore, campaigns: Iterable[Campaign], sent_by: SentBy, now: datetime
) -> dict[str, CampaignLabel]:
    """The labels of these campaigns that hold now, by campaign id, as a store has them."""
    rules = [rule for rule in store.allowances() if rule.holds(now)]
    return labels_now(store.labels(), allowed_campaigns(campaigns, rules, sent_by), now)


def level_of(campaign: Campaign, labels: Mapping[str, CampaignLabel]) -> Level:
    """The level that counts, given the labels that hold, by campaign id."""
    given = labels.get(campaign.campaign_id)
    return level_now(campaign.level, given.label if given else None)


def verdicts_now(
    labels: Mapping[str, CampaignLabel],
    modes: Mapping[str, CampaignMode],
    allowed: Mapping[str, Allowance],
    now: datetime,
) -> Verdicts:
    """All that holds now. allowed: by campaign id the rule that explains it."""
    ends = [*(each.until for each in labels.values()), *(each.until for each in allowed.values())]
    coming = (end for end in ends if end is not None and end > now)
    return Verdicts(labels_now(labels, allowed, now), modes, min(coming, default=None))


def allowed_campaigns(
    campaigns: Iterable[Campaign], rules: Sequence[Allowance], sent_by: SentBy
) -> dict[str, Allowance]:
    """The campaigns that rules explain, each with the one that explains it or, of organisations together, the one
    that runs out first, since then another look is due. A template or system prompt must cover every template of
    the campaign, so that nobody is let through who puts words of his own beside allow-listed ones.

    rules: those that hold. sent_by: asked only if there are rules of organisations.
    """
    organisations = {rule.value: rule for rule in rules if rule.kind is AllowanceKind.ORGANISATION}
    sent = sent_by(organisations) if organisations else {}
    found: dict[str, Allowance] = {}
    for campaign in campaigns if rules else ():
        vouched = sent.get(campaign.campaign_id, {})
        if sum(vouched.values()) >= COVERED * campaign.events:
            rule: Allowance | None = min((organisations[name] for name in vouched), key=_end)
        else:
            rule = _explanation(campaign, rules)
        if rule is not None:
            found[campaign.campaign_id] = rule
    return found


def _end(rule: Allowance) -> tuple[bool, datetime]:
    """When it runs out, in order; the last of all if it never does."""
    return rule.until is None, rule.until or rule.at


def _explanation(campaign: Campaign, rules: Sequence[Allowance]) -> Allowance | None:
    """The first rule of a text that explains a campaign."""
    templates = templates_of(campaign)
    for rule in rules:
        if rule.kind is AllowanceKind.ORGANISATION:
            continue
        said = said_in(rule.value)
        system = rule.kind is AllowanceKind.SYSTEM_PROMPT
        if all(
            (template.role == "system" or not system) and covered_share(template, said) >= COVERED
            for template in templates
        ):
            return rule
    return None
