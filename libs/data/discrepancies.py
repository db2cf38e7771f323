"""Counters that are known to differ from their rows: each is told once, until it is repaired or differs no more."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog

from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.errors import TallyError
from libs.data.events import Event
from libs.data.reconciliation import compare
from libs.data.tables import AggregateId
from libs.data.transaction import Snapshot, Transaction
from libs.data.verification import DISCREPANCIES, FORGET, Drift, differing, log_discrepancy

log = structlog.get_logger(__name__)


class Known(NamedTuple):
    """Names a discrepancy: of which counter, and of which resource of which aggregate."""

    counter: str
    aggregate_id: str
    resource_id: str


KNOWN = """
SELECT counter, aggregate_id, resource_id FROM operations.counter_discrepancies
WHERE counter = ANY($1::text[]) AND aggregate_id = ANY($2::text[])
"""
ADD = """
INSERT INTO operations.counter_discrepancies (counter, aggregate_id, resource_id, counter_value, counted_value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
"""


async def report(database: Database, counters: Sequence[Counter], aggregates: Sequence[AggregateId]) -> list[Drift]:
    """Compares as `reconcile` does, and leaves what differs as it is: repairing it is an operator's decision.

    All that differs is logged (severity MEDIUM) each time. What was not known before is counted, told by an event, and kept in
    `operations.counter_discrepancies`. An aggregate that fails holds up no other.

    Args:
        counters: of one kind of aggregate; each counts rows.

    Raises:
        DatabaseUnavailable: nothing could be compared.
    """
    drifts = {_name(drift): drift for drift in await compare(database, counters, aggregates)}
    known = await database.read(partial(read_known, counters=counters, aggregates=aggregates), PRIMARY)
    found = [drift for name, drift in drifts.items() if name in known]
    for aggregate_id in dict.fromkeys(name.aggregate_id for name in drifts.keys() ^ known):
        try:
            news = (await database.write(partial(_tell, counters=counters, aggregate_id=aggregate_id))).value
        except TallyError as error:
            log.warning("report_postponed", aggregate_id=aggregate_id, reason=error.reason)
            continue
        for drift in news:
            DISCREPANCIES.add(1, {"counter": drift.counter.name, "severity": "MEDIUM"})
        found += news
    for drift in found:
        log_discrepancy(drift.counter, drift.key, drift.found)
    return found


async def read_known(snapshot: Snapshot, counters: Sequence[Counter], aggregates: Sequence[AggregateId]) -> set[Known]:
    rows = await snapshot.fetch(KNOWN, [counter.name for counter in counters], list(map(str, aggregates)))
    return {Known(*row) for row in rows}


async def _tell(tx: Transaction, counters: Sequence[Counter], aggregate_id: str) -> list[Drift]:
    """Looks again under the lock, keeps and tells what is new, forgets what is gone; answers what is new."""
    table = counters[0].aggregate
    key = table.parse_key(aggregate_id)
    locked = await tx.lock(table, [key])
    # Of an aggregate that is gone the counters are gone with it.
    there = await differing(tx, counters, [key]) if key in locked else []
    known = await read_known(tx, counters, [key])
    news = [drift for drift in there if _name(drift) not in known]
    if gone := known - {_name(drift) for drift in there}:
        await tx.execute(FORGET, *map(list, zip(*gone, strict=True)))
    if news:
        values = [(*_name(drift), drift.found.counter, drift.found.counted) for drift in news]
        await tx.execute(ADD, *map(list, zip(*values, strict=True)))
        tx.emit(_event(drift, locked[key]["version"]) for drift in news)
    return news


def _event(drift: Drift, version: int) -> Event:
    payload = {
        "severity": "MEDIUM",
        "counter": drift.counter.name,
        "resource_id": drift.counter.resource_id(drift.key),
        "counter_value": drift.found.counter,
        "counted_value": drift.found.counted,
    }
    return Event(f"{drift.counter.aggregate.aggregate}.counter_discrepancy", drift.key[0], version, payload)


def _name(drift: Drift) -> Known:
    return Known(drift.counter.name, str(drift.key[0]), drift.counter.resource_id(drift.key))
