"""The campaigns of the current generation, without an engine, since loading an encoder takes seconds."""

from collections.abc import Iterable
from pathlib import Path

from indexer import layout
from indexer.generation import open_current
from indexer.search import places_of
from models.campaign import Campaign
from models.errors import UnknownCampaign


def urgent_first(campaigns: Iterable[Campaign]) -> tuple[Campaign, ...]:
    """Campaigns by level, score and size, the most urgent first."""
    return tuple(
        sorted(campaigns, key=lambda each: (-each.level.rank, -each.score, -each.events, each.campaign_id))
    )


def published_campaigns(generations: Path) -> tuple[Campaign, ...]:
    """All that are published, the most urgent first. Raises NotReady without a generation, GenerationDamaged."""
    return urgent_first(open_current(generations).value(layout.CAMPAIGNS, list[Campaign]))


def published_campaign(generations: Path, campaign_id: str) -> Campaign:
    """The campaign that has this id or was merged with the one that had. Raises UnknownCampaign, and what
    `published_campaigns` raises.
    """
    found = published_campaigns(generations)
    places = places_of(found)
    if campaign_id not in places:
        raise UnknownCampaign(f"no campaign {campaign_id} in the current generation")
    return found[places[campaign_id]]
