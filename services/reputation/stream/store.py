"""Where each partition of the event stream stands, what comes next in it, and what follows from that: all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from libs.data.events import STORED_COLUMNS, Cursor, StoredEvent
from libs.data.transaction import Snapshot, Transaction
from services.reputation.ledger.model import RecordEvent
from services.reputation.ledger.rules import Outcome
from services.reputation.ledger.store import groups_among, record_and_reverse
from services.reputation.ledger.store_users import make_known
from services.reputation.stream import rules

log = structlog.get_logger(__name__)

CONSUMER_GROUP = "reputation"
PARTITIONS = range(8)
LAST_POSITION = 2**31 - 1

# An event's partition, and what is in one, in the words of the index `events_of_reputation`. Postgres keeps this hash as it is
# from version to version, because tables are partitioned by it.
PARTITION_OF = "(hashtextextended(e.aggregate_id, 0) & 7)"
RELEVANT = "e.kind IN ({})".format(", ".join(f"'{kind}'" for kind in rules.KINDS))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition stands.

    Args:
        cursor: everything up to it has had its effects.
        stored_lag: seconds, as the checkpoint says.
        resting: seconds since the checkpoint moved.
        next_xid: the transaction of the next event that concerns reputation; None without one.
        waiting: seconds since that event happened; 0 without one.
    """

    partition: int
    cursor: Cursor
    stored_lag: int
    resting: float
    next_xid: int | None
    waiting: float


@dataclass(frozen=True, slots=True)
class Look:
    """Where all partitions stand that have a checkpoint. Every transaction below the horizon has ended."""

    places: list[Place]
    horizon: int

    @property
    def end(self) -> Cursor:
        """Where a partition stands of which all is taken up that is below the horizon."""
        return Cursor(self.horizon - 1, LAST_POSITION)


@dataclass(frozen=True, slots=True)
class Page:
    """What comes next in a partition.

    Args:
        read_after: where the partition stood.
        until: where it stands once the commands are done.
        strangers: users of theirs that are not known yet.
        waiting_since: when the first of the events happened.
        skipped: events that could not be understood.
    """

    partition: int
    read_after: Cursor
    until: Cursor
    events: int
    commands: list[RecordEvent]
    strangers: set[UUID]
    waiting_since: datetime | None
    skipped: int


def stream_name(partition: int) -> str:
    return f"events-{partition}"


def written(cursor: Cursor) -> str:
    """A cursor as checkpoints hold it."""
    return f"{cursor.xid}-{cursor.position}"


BEGIN = """
INSERT INTO reputation.event_stream_checkpoints (consumer_group, stream_name, last_processed_id)
SELECT $1, stream_name, '0-0' FROM unnest($2::text[]) AS stream_name
ON CONFLICT (consumer_group, stream_name) DO NOTHING
"""


async def begin(tx: Transaction) -> None:
    """Sets up checkpoints at the beginning of the stream, where there are none."""
    await tx.execute(BEGIN, CONSUMER_GROUP, [stream_name(partition) for partition in PARTITIONS])


LOOK = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, p.partition,
       split_part(c.last_processed_id, '-', 1)::bigint AS xid, split_part(c.last_processed_id, '-', 2)::integer AS position,
       c.lag_seconds, extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - c.processed_at)::float8 AS resting,
       next.xid::text::bigint AS next_xid,
       coalesce(extract(epoch FROM clock_timestamp() - next.created_time)::float8, 0.0) AS waiting
FROM unnest($2::bigint[], $3::text[]) AS p(partition, stream_name)
JOIN reputation.event_stream_checkpoints c ON c.consumer_group = $1 AND c.stream_name = p.stream_name
LEFT JOIN LATERAL (
    SELECT e.xid, e.created_time FROM operations.events e
    WHERE {PARTITION_OF} = p.partition AND {RELEVANT}
      AND (e.xid, e.position)
        > (split_part(c.last_processed_id, '-', 1)::xid8, split_part(c.last_processed_id, '-', 2)::integer)
    ORDER BY e.xid, e.position
    LIMIT 1
) next ON true
"""


async def look(snapshot: Snapshot) -> Look:
    """Where everything stands. What waits above the horizon is seen, too, though it cannot be taken up yet."""
    names = [stream_name(partition) for partition in PARTITIONS]
    rows = await snapshot.fetch(LOOK, CONSUMER_GROUP, list(PARTITIONS), names)
    places = [
        Place(
            row["partition"],
            Cursor(row["xid"], row["position"]),
            row["lag_seconds"],
            row["resting"],
            row["next_xid"],
            row["waiting"],
        )
        for row in rows
    ]
    return Look(places, rows[0]["horizon"] if rows else 0)


# The horizon is that of an earlier look: what was below it then is so for good.
NEXT = f"""
SELECT {STORED_COLUMNS}
FROM operations.events e
WHERE {PARTITION_OF} = $1::bigint AND {RELEVANT}
  AND (e.xid, e.position) > ($2::text::xid8, $3::integer) AND e.xid < $4::text::xid8
ORDER BY e.xid, e.position
LIMIT $5
"""
KNOWN_USERS = "SELECT user_id FROM reputation.user_global_reputation WHERE user_id = ANY($1::uuid[])"


async def next_page(snapshot: Snapshot, place: Place, seen: Look, limit: int) -> Page:
    """At most `limit` events, and what follows from them."""
    rows = await snapshot.fetch(
        NEXT, place.partition, str(place.cursor.xid), place.cursor.position, str(seen.horizon), limit
    )
    events = [StoredEvent.of_row(row) for row in rows]
    commands, skipped = _to_commands(events, place.partition)
    users = {command.user_id for command in commands}
    known = {row[0] for row in await snapshot.fetch(KNOWN_USERS, list(users))} if users else set()
    return Page(
        place.partition,
        place.cursor,
        events[-1].cursor if len(events) == limit else seen.end,
        len(events),
        await _in_known_groups(snapshot, commands),
        users - known,
        events[0].created_time if events else None,
        skipped,
    )


def _to_commands(events: Sequence[StoredEvent], partition: int) -> tuple[list[RecordEvent], int]:
    commands: list[RecordEvent] = []
    skipped = 0
    for event in events:
        try:
            commands += rules.to_commands(event, partition)
        except rules.NotUnderstood as error:
            log.warning("stream_event_skipped", kind=event.kind, stream_id=written(event.cursor), why=str(error))
            skipped += 1
    return commands, skipped


async def _in_known_groups(snapshot: Snapshot, commands: list[RecordEvent]) -> list[RecordEvent]:
    """Food can be offered to groups that nobody made known here: their names are left out."""
    groups = {command.group_id for command in commands if command.group_id}
    if not groups:
        return commands
    known = await groups_among(snapshot, groups)
    return [
        command if command.group_id is None or command.group_id in known else replace(command, group_id=None)
        for command in commands
    ]


# Whoever does not get it, because another has it or has moved it, leaves the partition alone.
TAKE = """
SELECT FROM reputation.event_stream_checkpoints
WHERE consumer_group = $1 AND stream_name = $2 AND last_processed_id = $3
FOR UPDATE SKIP LOCKED
"""
MOVE = """
UPDATE reputation.event_stream_checkpoints
SET last_processed_id = $3, processed_at = clock_timestamp() AT TIME ZONE 'UTC',
    lag_seconds = coalesce(greatest(extract(epoch FROM clock_timestamp() - $4::timestamptz), 0)::integer, 0)
WHERE consumer_group = $1 AND stream_name = $2
"""


async def take_up(tx: Transaction, page: Page) -> Sequence[Outcome] | None:
    """Does what follows from a page, and moves the checkpoint past it. None if the page is not this consumer's to do.

    Order of locks: the checkpoint, users who become known (ascending), users' ledgers.
    """
    name = stream_name(page.partition)
    if await tx.fetchrow(TAKE, CONSUMER_GROUP, name, written(page.read_after)) is None:
        return None
    await make_known(tx, page.strangers)
    outcomes = await record_and_reverse(tx, page.commands) if page.commands else []
    tx.write_last(MOVE, CONSUMER_GROUP, name, written(page.until), page.waiting_since, rows=1)
    return outcomes


async def move(tx: Transaction, places: Sequence[Place], to: Cursor) -> int:
    """Moves the checkpoints of partitions where nothing is to be done; how many still stood there and were free."""
    moved = 0
    for place in places:
        name = stream_name(place.partition)
        if await tx.fetchrow(TAKE, CONSUMER_GROUP, name, written(place.cursor)) is not None:
            await tx.execute(MOVE, CONSUMER_GROUP, name, written(to), None)
            moved += 1
    return moved
