"""What analysts said, brought to bear on campaigns: labels, and allow-lists that label by what a campaign is.

Nothing here is read when a generation is built, so no verdict ever moves a threshold or a weight.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from models.allowance import Allowance, AllowanceKind
from models.campaign import Campaign, CampaignLabel, Label, Template
from models.text import canonical, tokens

COVERED: Final = 0.9  # of a campaign's events, or of its template's words, that allowances must explain
_GRAM: Final = 4
_SLOT: Final = re.compile(r"\{\{?[^{}]*\}\}?")


def labels_now(
    labels: Mapping[str, CampaignLabel], allowed: Mapping[str, Allowance], now: datetime
) -> dict[str, CampaignLabel]:
    """The labels that hold now, by campaign id: those given and not run out; else that of an allowance."""
    found = {
        name: CampaignLabel(
            name, Label.BENIGN, f"allowed by rule {rule.rule_id}", rule.author, rule.at, rule.until
        )
        for name, rule in allowed.items()
        if rule.until is None or rule.until > now
    }
    for name, label in labels.items():
        if label.label is not Label.IGNORE_UNTIL or (label.until is not None and label.until > now):
            found[name] = label
    return found


def allowed_campaigns(campaigns: Iterable[Campaign], rules: Sequence[Allowance]) -> dict[str, Allowance]:
    """The campaigns that rules explain, each with the one that explains it or, of organisations together, the
    last. A template or system prompt must cover every template of the campaign, so that nobody is let through who
    puts words of his own beside allow-listed ones.
    """
    found: dict[str, Allowance] = {}
    for campaign in campaigns if rules else ():
        rule = _explanation(campaign, rules)
        if rule is not None:
            found[campaign.campaign_id] = rule
    return found


def covered_share(template: Template, text: str) -> float:
    """Share of the template's literal tokens that stand in a 4-gram it has in common with the text (between slots
    less than four tokens apart, in all that stands there); 0 if the template is too short to tell.
    """
    said = _words(text)
    known = {size: set(_grams(said, size)) for size in range(1, _GRAM + 1)}
    literal = covered = 0
    for words in map(_words, _SLOT.split(template.skeleton)):
        size = min(_GRAM, max(1, len(words)))
        hit = [False] * len(words)
        for start, gram in enumerate(_grams(words, size)):
            if gram in known[size]:
                hit[start : start + size] = [True] * size
        literal += len(words)
        covered += sum(hit)
    return covered / literal if literal >= _GRAM else 0.0


def _explanation(campaign: Campaign, rules: Sequence[Allowance]) -> Allowance | None:
    organisations = {rule.value: rule for rule in rules if rule.kind is AllowanceKind.ORGANISATION}
    vouched = [member for member in campaign.members if member.org_id in organisations]
    if sum(member.events for member in vouched) >= COVERED * campaign.events:
        return organisations[vouched[-1].org_id or ""]
    templates = [
        template for each in campaign.strands or (campaign,) for template in (each.template, *each.variants)
    ]
    for rule in rules:
        if rule.kind is AllowanceKind.ORGANISATION:
            continue
        system = rule.kind is AllowanceKind.SYSTEM_PROMPT
        if all(
            (template.role == "system" or not system) and covered_share(template, rule.value) >= COVERED
            for template in templates
        ):
            return rule
    return None


def _words(text: str) -> list[str]:
    return tokens(canonical(text))


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
