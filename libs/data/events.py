"""The stream of committed events, read without gaps.

Transactions do not commit in the order of their ids, so a reader that remembers the last id it saw loses what commits
later with a smaller one. This reader goes only as far as the *horizon*, below which every transaction has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson

if TYPE_CHECKING:
    from libs.data.transaction import Record, Snapshot


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one aggregate.

    Args:
        kind: such as `petition.counted`.
        version: the aggregate's version after the transaction; a reader ignores what is not newer than what it has.
        payload: JSON.
    """

    kind: str
    aggregate_id: UUID | str
    version: int
    payload: Mapping[str, Any]


class Cursor(NamedTuple):
    """The last event read: its transaction, and its place in it."""

    xid: int
    position: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as read: `cursor` names it for good, so a consumer can apply it exactly once."""

    cursor: Cursor
    kind: str
    aggregate_id: str
    version: int
    payload: dict[str, Any]
    created_time: datetime

    @classmethod
    def of_row(cls, row: "Record") -> "StoredEvent":
        """From a row with STORED_COLUMNS."""
        return cls(
            Cursor(row["xid"], row["position"]),
            row["kind"],
            row["aggregate_id"],
            row["version"],
            orjson.loads(row["payload"]),
            row["created_time"],
        )


@dataclass(frozen=True, slots=True)
class Page:
    """What one look at the stream found.

    Args:
        horizon: every transaction with a smaller xid had ended when the page was read.
        ceiling: no transaction with this xid or a larger one had ended by then (Postgres' `xmax`; some may have begun).
        as_of_time: a moment just before that, by the database's clock.
        complete: nothing below the horizon is left to read.
    """

    events: list[StoredEvent]
    cursor: Cursor
    horizon: int
    ceiling: int
    as_of_time: datetime
    complete: bool


# now() is when the statement's transaction began, so before its snapshot: what is said to be of that moment is not older.
HORIZON = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ceiling, now() AS as_of_time
"""
STORED_COLUMNS = """
e.xid::text::bigint AS xid, e.position, e.kind, e.aggregate_id, e.version, e.payload::text AS payload, e.created_time
"""
PAGE = f"""
WITH horizon AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid, pg_snapshot_xmax(pg_current_snapshot()) AS ceiling,
           now() AS as_of_time
)
SELECT h.xid::text::bigint AS horizon, h.ceiling::text::bigint AS ceiling, h.as_of_time, {STORED_COLUMNS}
FROM horizon h
LEFT JOIN LATERAL (
    SELECT * FROM operations.events
    WHERE (xid, position) > ($1::text::xid8, $2::integer) AND xid < h.xid
    ORDER BY xid, position
    LIMIT $3
) e ON true
ORDER BY e.xid, e.position
"""


async def start_cursor(snapshot: "Snapshot") -> Page:
    """A page without events at the end of the stream: reading on from it misses nothing that is not visible by now."""
    row = await snapshot.fetchrow(HORIZON)
    assert row is not None
    end = Cursor(row["horizon"] - 1, 2**31 - 1)
    return Page([], end, row["horizon"], row["ceiling"], row["as_of_time"], complete=True)


async def read_page(snapshot: "Snapshot", cursor: Cursor, limit: int = 5000) -> Page:
    """The next events after `cursor` in the order (xid, position), at most `limit`, none above the horizon."""
    rows = await snapshot.fetch(PAGE, str(cursor.xid), cursor.position, limit)
    events = [StoredEvent.of_row(row) for row in rows if row["xid"] is not None]
    horizon: int = rows[0]["horizon"]
    complete = len(events) < limit
    # Everything below the horizon was seen, so the cursor can stand there: an idle stream leaves old pages behind too.
    end = Cursor(horizon - 1, 2**31 - 1) if complete else events[-1].cursor
    return Page(events, end, horizon, rows[0]["ceiling"], rows[0]["as_of_time"], complete)
