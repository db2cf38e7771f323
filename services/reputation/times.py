"""Times as tables and errors have them. Columns without a zone are UTC."""

from datetime import UTC, datetime


def aware(stored: datetime) -> datetime:
    """A moment, from a column without a zone."""
    return stored.replace(tzinfo=UTC)


def stored(moment: datetime) -> datetime:
    """For a column without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def shown(moment: datetime) -> str:
    """In the form that JSON has for a Timestamp."""
    return moment.isoformat().replace("+00:00", "Z")
