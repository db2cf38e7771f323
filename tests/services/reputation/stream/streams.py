"""The stream of events as its tests talk of it: telling something, taking it up, and what came of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from libs.data.database import Database
from libs.data.events import Cursor
from libs.data.settings import DatabaseSettings
from services.reputation.stream.consumer import Consumer
from tests.eventually import becomes_true
from tests.services.petition.people import new_uuid
from tests.stored import Connection

TELL = """
INSERT INTO operations.events (position, kind, aggregate_id, version, payload, created_time)
SELECT n - 1, kind, aggregate_id, 1, payload::jsonb, now() - make_interval(secs => $4)
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e(kind, aggregate_id, payload, n)
RETURNING xid::text::bigint AS xid, position
"""
PARTITION_OF = "SELECT (hashtextextended($1::text, 0) & 7)::integer"
CHECKPOINTS = """
SELECT stream_name, last_processed_id, lag_seconds FROM reputation.event_stream_checkpoints
WHERE consumer_group = 'reputation' ORDER BY stream_name
"""
ALL_BELOW = "SELECT NOT EXISTS (SELECT FROM operations.events WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))"
LEDGER = """
SELECT event_type, (impact_score * 100)::integer, (new_score * 100)::integer FROM reputation.reputation_events
WHERE user_id = $1 ORDER BY sequence
"""

Told = tuple[str, str, dict[str, Any]]


def an_exchange(kind: str = "completed", **changes: Any) -> Told:
    """Kind, aggregate and payload of the news of an exchange."""
    payload = {"giver_id": new_uuid(), "receiver_id": new_uuid(), "group_id": None, "portions": 1}
    return f"exchange.{kind}", new_uuid(), payload | changes


def a_rating(**changes: Any) -> Told:
    payload = {"rater_id": new_uuid(), "rated_id": new_uuid(), "rated_side": "giver", "stars": 5, "group_id": None}
    return "exchange.rated", new_uuid(), payload | changes


def a_passing(**changes: Any) -> Told:
    payload = {"threshold": 50, "co_signer_count": 50, "ordinal": 50, "submitter_id": new_uuid()}
    return "petition.escalated", new_uuid(), payload | changes


async def tell(db: Connection, *news: Told, age: float = 0.0, settle: bool = True) -> list[Cursor]:
    """Commits events in one transaction, as if it had been so many seconds ago.

    Args:
        settle: waits until they can be taken up.
    """
    kinds, aggregates, payloads = zip(*news, strict=True)
    rows = await db.fetch(TELL, kinds, aggregates, [orjson.dumps(payload).decode() for payload in payloads], age)
    if settle:
        await settled(db)
    return [Cursor(row["xid"], row["position"]) for row in rows]


async def settled(db: Connection) -> None:
    """Waits until all events are below the horizon: it is the whole server's, so other tests' transactions may hold it back."""

    async def all_below() -> bool:
        return bool(await db.fetchval(ALL_BELOW))

    await becomes_true(all_below, within=30.0)


async def checkpoints(db: Connection) -> dict[str, tuple[str, int]]:
    """How far each partition was read, and its lag in seconds."""
    return {row[0]: (row[1], row[2]) for row in await db.fetch(CHECKPOINTS)}


async def ledger(db: Connection, user_id: str) -> list[tuple[str, int, int]]:
    """Types of a user's events, what was asked for, and the scores after them."""
    return [tuple(row) for row in await db.fetch(LEDGER, user_id)]


@asynccontextmanager
async def consumer(database_url: str, **settings: Any) -> AsyncIterator[Consumer]:
    """One that does a round when it is told to."""
    opened = Database.open(DatabaseSettings(database_url=database_url, database_role="tally_reputation", **settings))
    async with opened as database:
        yield Consumer(database, poll_seconds=0.01, page_events=50)


async def all_taken_up(*consumers: Consumer) -> int:
    """Rounds until there is nothing left; how many events that were."""
    taken_up = 0
    while n := sum([await each.round() for each in consumers]):
        taken_up += n
    return taken_up
