"""The campaigns of the current generation and who sent them, without an engine, since loading an encoder takes
seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from indexer import layout
from indexer.generation import Generation, first_good
from indexer.search import places_of
from indexer.traffic import Traffic
from models.campaign import Campaign
from models.errors import UnknownCampaign


@dataclass(frozen=True, slots=True)
class Published:
    """A generation's campaigns, by number, and the traffic that they are found in."""

    campaigns: tuple[Campaign, ...]
    traffic: Traffic

    @classmethod
    def of(cls, generation: Generation) -> "Published":
        """What a generation holds. Raises GenerationDamaged."""
        campaigns = generation.value(layout.CAMPAIGNS, tuple[Campaign, ...])
        return cls(campaigns, Traffic.of(generation, [each.campaign_id for each in campaigns]))

    @classmethod
    def current(cls, generations: Path) -> "Published":
        """What is published. Raises NotReady without a generation, GenerationDamaged."""
        return first_good(generations, cls.of)

    def place(self, campaign_id: str) -> int:
        """Number of the campaign that has this id or was merged with the one that had. Raises UnknownCampaign."""
        places = places_of(self.campaigns)
        if campaign_id not in places:
            raise UnknownCampaign(f"no campaign {campaign_id} in the current generation")
        return places[campaign_id]

    def campaign(self, campaign_id: str) -> Campaign:
        """The campaign itself. Raises UnknownCampaign."""
        return self.campaigns[self.place(campaign_id)]


def urgent_first(campaigns: Iterable[Campaign]) -> tuple[Campaign, ...]:
    """Campaigns by level, score and size, the most urgent first."""
    return tuple(
        sorted(campaigns, key=lambda each: (-each.level.rank, -each.score, -each.events, each.campaign_id))
    )
