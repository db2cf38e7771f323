"""Identifiers: UUIDs, time-ordered (version 7) for what Tally creates."""

from uuid import UUID

from asyncpg.pgproto import pgproto
from uuid_utils.compat import uuid7

__all__ = ["UUID", "new_id", "parse_id"]


def new_id() -> UUID:
    """A new UUIDv7: sorts after every id made earlier (to the millisecond)."""
    return uuid7()


def parse_id(text: str) -> UUID:
    """The UUID written in `text`, in whatever case. A tenth of the cost of the standard library's class, and equal to it.

    Raises:
        ValueError: `text` is not a UUID.
    """
    parsed: UUID = pgproto.UUID(text)
    return parsed
