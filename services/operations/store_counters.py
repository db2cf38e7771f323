"""Comparing a counter with the rows it counts, some resources at a time, and setting it right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter
from libs.data.pages import decode_page_token, encode_page_token
from libs.data.requests import Replay, Requests
from libs.data.tables import AggregateId, Table
from libs.data.transaction import Snapshot, Transaction
from libs.data.verification import Drift, counters_beside, differing, log_discrepancy, set_right
from services.operations.errors import ResourceNotFound


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A counter of one resource that differs, or differed, from its rows."""

    counter: str
    resource_id: str
    breakdown: str
    counter_value: int
    counted_value: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many resources were compared, where a counter differs, and the next page's token."""

    checked: int
    discrepancies: list[Discrepancy]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was set right. May be empty."""

    repaired: tuple[Discrepancy, ...]


# The answer is stored in the transaction that repairs, so with the service whose counter it is.
REPAIRS = {
    schema: Requests(schema, "RepairCounter", Repair)
    for schema in {counter.aggregate.schema for counter in COUNTERS.values()}
}


@cache
def existing_sql(table: Table) -> str:
    return f"SELECT {table.key} FROM {table.name} WHERE {table.key} = ANY($1::{table.key_type}[])"


@cache
def page_sql(table: Table, *, first: bool) -> str:
    """At most `$1` keys in ascending order: the first, or those after `$2`."""
    after = "" if first else f" WHERE {table.key} > $2::{table.key_type}"
    return f"SELECT {table.key} FROM {table.name}{after} ORDER BY {table.key} LIMIT $1"


async def compare(snapshot: Snapshot, counter: Counter, aggregates: Sequence[AggregateId]) -> Comparison:
    """Those of the aggregates that exist."""
    rows = await snapshot.fetch(existing_sql(counter.aggregate), aggregates)
    return Comparison(len(rows), await _compared(snapshot, counter, [row[0] for row in rows]))


async def compare_page(snapshot: Snapshot, counter: Counter, size: int, token: str) -> Comparison:
    """The next aggregates by their keys."""
    table, listing = counter.aggregate, f"verify/{counter.name}"
    after = decode_page_token(token, listing, UUID if table.key_type == "uuid" else str)
    rows = await snapshot.fetch(page_sql(table, first=after is None), size + 1, *(after or ()))
    keys = [row[0] for row in rows[:size]]
    found = await _compared(snapshot, counter, keys)
    return Comparison(len(keys), found, encode_page_token(listing, str(keys[-1])) if len(rows) > size else "")


async def _compared(snapshot: Snapshot, counter: Counter, aggregates: Sequence[AggregateId]) -> list[Discrepancy]:
    drifts = await differing(snapshot, [counter], aggregates)
    for drift in drifts:
        log_discrepancy(drift.counter, drift.key, drift.found)
    return [_discrepancy(drift) for drift in drifts]


async def repair(
    tx: Transaction, counter: Counter, aggregate_id: AggregateId, request_id: UUID
) -> Repair | Replay[Repair]:
    """Sets a counter of an aggregate to its rows under the aggregate's lock, all parts of it where it is broken down.

    With it the other counters of the same rows: CHECKs bind them to each other.

    Raises:
        ResourceNotFound: there is no such aggregate.
    """
    requests = REPAIRS[counter.aggregate.schema]
    replay = await requests.claim(tx, request_id, counter.name, str(aggregate_id))
    if replay is not None:
        return replay
    locked = await tx.lock(counter.aggregate, [aggregate_id])
    if aggregate_id not in locked:
        raise ResourceNotFound(counter.name, str(aggregate_id))
    drifts = await set_right(tx, locked, await differing(tx, counters_beside(counter), [aggregate_id]))
    done = Repair(tuple(_discrepancy(drift) for drift in drifts if drift.repaired))
    await requests.record(tx, request_id, done)
    return done


def _discrepancy(drift: Drift) -> Discrepancy:
    aggregate_id, *parts = map(str, drift.key)
    return Discrepancy(drift.counter.name, aggregate_id, "/".join(parts), drift.found.counter, drift.found.counted)
