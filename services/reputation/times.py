"""Times as tables have them: columns without a zone are UTC."""

from datetime import UTC, datetime


def aware(stored: datetime) -> datetime:
    """A moment, from a column without a zone."""
    return stored.replace(tzinfo=UTC)


def stored(moment: datetime) -> datetime:
    """For a column without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
