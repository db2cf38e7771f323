"""Which aggregates' counters moved lately, as the stream of committed events tells."""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.data.tables import AggregateId, Table
from libs.data.transaction import Snapshot

# Events one look goes through.
MOST_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class Activity:
    """Aggregates whose counters moved.

    Args:
        until: the next look goes on from this transaction id.
    """

    aggregates: dict[Table, list[AggregateId]]
    until: int


# Every change of a counter that is served says `<aggregate>.counted`.
MOVED = """
WITH horizon AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid),
seen AS MATERIALIZED (
    SELECT xid, kind, aggregate_id FROM operations.events
    WHERE xid >= $1::text::xid8 AND xid < (SELECT xid FROM horizon)
    ORDER BY xid, position
    LIMIT $3
),
moved AS (SELECT DISTINCT kind, aggregate_id FROM seen WHERE kind = ANY($2::text[]))
SELECT (SELECT xid FROM horizon)::text::bigint AS horizon, (SELECT max(xid) FROM seen)::text::bigint AS newest,
       (SELECT count(*) FROM seen) AS events, moved.kind, moved.aggregate_id
FROM (VALUES (true)) AS always LEFT JOIN moved ON true
ORDER BY moved.kind, moved.aggregate_id
"""


async def active_since(
    snapshot: Snapshot, since: int, tables: Iterable[Table], most_events: int = MOST_EVENTS
) -> Activity:
    """What moved in transactions from the id `since` on, below the horizon; at most so many events of it."""
    by_kind = {f"{table.aggregate}.counted": table for table in tables}
    rows = await snapshot.fetch(MOVED, str(since), list(by_kind), most_events)
    aggregates: dict[Table, list[AggregateId]] = {table: [] for table in by_kind.values()}
    for row in rows:
        if row["kind"] is not None:
            table = by_kind[row["kind"]]
            aggregates[table].append(table.parse_key(row["aggregate_id"]))
    until: int = rows[0]["horizon"]
    if rows[0]["events"] == most_events:
        until = max(rows[0]["newest"], since + 1)  # again from the last one on, of which some may be left
    return Activity(aggregates, until)
