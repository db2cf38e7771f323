"""Reading counters from the primary: each statement says, from its own snapshot, what it reflects."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from libs.data.counters import Counter
from libs.data.follower import Watermark
from libs.data.transaction import Record, Snapshot
from services.aggregator.keys import columns


@dataclass(frozen=True, slots=True)
class Row:
    """A counter of one resource as stored."""

    resource_id: str
    value: int
    version: int


# A row even where nothing is found. now() is when the statement's transaction began, before its snapshot.
WITH_WATERMARK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, now() AS as_of_time, found.*
FROM (SELECT) AS always LEFT JOIN ({sql}) AS found ON true
"""


async def read(snapshot: Snapshot, counter: Counter, resource_ids: list[str]) -> tuple[list[Row], Watermark]:
    """The counters of those resources that exist, in any order."""
    return await _fetch(snapshot, counter, counter.read_sql, *columns(counter, resource_ids))


async def top(snapshot: Snapshot, counter: Counter, limit: int) -> tuple[list[Row], Watermark]:
    """The listed resources with the highest values, in any order."""
    return await _fetch(snapshot, counter, counter.top_sql, limit)


async def listed(snapshot: Snapshot, counter: Counter, resource_ids: Sequence[str]) -> tuple[list[Row], Watermark]:
    """Those of the resources that are listed in rankings, in any order."""
    return await _fetch(snapshot, counter, counter.listed_sql, list(resource_ids))


async def _fetch(snapshot: Snapshot, counter: Counter, sql: str, *arguments: object) -> tuple[list[Row], Watermark]:
    begun = time.monotonic()
    rows = await snapshot.fetch(WITH_WATERMARK.format(sql=sql), *arguments)
    watermark = Watermark.at(rows[0]["horizon"], rows[0]["as_of_time"], begun)
    return [_row(counter, row) for row in rows if row["version"] is not None], watermark


def _row(counter: Counter, row: Record) -> Row:
    key = tuple(row[name] for name in counter.key_columns)
    return Row(counter.resource_id(key), row["value"], row["version"])
