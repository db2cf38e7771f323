"""Times as errors tell them."""

from datetime import datetime


def shown(time: datetime) -> str:
    """In the form that JSON has for a Timestamp."""
    return time.isoformat().replace("+00:00", "Z")
