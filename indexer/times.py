"""Times as the database keeps them, whole microseconds since 1970 UTC, and as columns do, whole seconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(since_1970_us: int) -> datetime:
    """UTC time of microseconds since 1970."""
    return _EPOCH + since_1970_us * _MICROSECOND


def moment_of_seconds(seconds: int) -> datetime:
    """UTC time of whole seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)
