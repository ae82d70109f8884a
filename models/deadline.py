"""Until when something said now is to hold."""

from datetime import datetime

from models.errors import BadInput


def in_future(until: datetime | None, now: datetime) -> datetime | None:
    """`until`, None for no end. Raises BadInput if it has passed."""
    if until is not None and until <= now:
        raise BadInput(f"until {until.isoformat()} is not in the future")
    return until
