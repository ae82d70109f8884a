"""The report of a case: one campaign as a reader outside of the console needs it, in Markdown with pictures."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.console.charts import Chart
from app.console.course import drawn_by_model, drawn_senders
from app.console.listing import Row
from app.console.pages import filled
from models.campaign import Campaign
from models.traffic import CampaignHour

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # so that the same case gives the same bytes


@dataclass(frozen=True, slots=True)
class Case:
    """What a report tells of. called: of some accounts, those with most events: the name that is to be read, their
    events and the share of all theirs."""

    row: Row
    hours: tuple[CampaignHour, ...]
    generation: str
    author: str
    note: str
    at: datetime
    called: Sequence[tuple[str, int, float]]

    @property
    def campaign(self) -> Campaign:
        """The campaign."""
        return self.row.campaign


def report_of(case: Case) -> bytes:
    """A ZIP of report.md and the pictures that it shows."""
    history = case.campaign.history
    pictures = {
        "events.svg": drawn_by_model(case.hours, history),
        "accounts.svg": drawn_senders(case.hours),
    }
    files = {"report.md": filled("report.md", case=case, one=case.campaign)}
    files |= {name: _drawn(chart, name) for name, chart in pictures.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{case.campaign.campaign_id}/{name}", _LONG_AGO), text)
    return packed.getvalue()


def _drawn(chart: Chart, name: str) -> str:
    return filled("picture.svg", chart=chart, label=name)
