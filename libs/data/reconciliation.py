"""Counters that heal themselves: those of some aggregates are compared with their rows, and set right where they differ."""

from collections.abc import Sequence
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.errors import DatabaseUnavailable, NotFound, TallyError
from libs.data.tables import AggregateId
from libs.data.transaction import Transaction
from libs.data.verification import (
    DISCREPANCIES,
    Drift,
    counters_beside,
    differing,
    log_discrepancy,
    set_right,
)

log = structlog.get_logger(__name__)


async def reconcile(database: Database, counters: Sequence[Counter], aggregates: Sequence[AggregateId]) -> list[Drift]:
    """Compares these counters of these aggregates with their rows in one snapshot of the primary, and repairs what differs.

    Under the aggregate's lock it is looked at again: drift that has gone by then is left alone. The rest is set right in one
    transaction an aggregate, with an audit row and an event each. What was repaired and what could not be is logged (severity
    MEDIUM) and counted. An aggregate that fails holds up no other.

    Args:
        counters: of one kind of aggregate; each counts rows.

    Returns:
        What was found: under the lock, or in the snapshot where that was as far as it went.

    Raises:
        DatabaseUnavailable: nothing could be compared.
    """
    suspects: dict[AggregateId, list[Drift]] = {}
    for drift in await compare(database, counters, aggregates):
        suspects.setdefault(drift.key[0], []).append(drift)
    drifts: list[Drift] = []
    for aggregate_id, drifting in suspects.items():
        drifts += await _repair(database, aggregate_id, drifting)
    for drift in drifts:
        log_discrepancy(drift.counter, drift.key, drift.found)
        DISCREPANCIES.add(1, {"counter": drift.counter.name, "severity": "MEDIUM"})
    return drifts


async def compare(database: Database, counters: Sequence[Counter], aggregates: Sequence[AggregateId]) -> list[Drift]:
    """What differs. Where that cannot be read of all in one snapshot, each aggregate is read in one of its own."""
    assert all(counter.counts for counter in counters), "nothing to compare with"
    assert len({counter.aggregate for counter in counters}) <= 1, "aggregates of different kinds"
    try:
        return await database.read(
            partial(differing, counters=counters, aggregates=aggregates), PRIMARY, repeatable=True
        )
    except DatabaseUnavailable:
        raise
    except TallyError as error:
        if len(aggregates) == 1:
            log.warning("reconciliation_postponed", aggregate_id=str(aggregates[0]), reason=error.reason)
            return []
    return [drift for each in aggregates for drift in await compare(database, counters, [each])]


async def _repair(database: Database, aggregate_id: AggregateId, suspects: Sequence[Drift]) -> list[Drift]:
    """What was found under the lock; what was suspected, if that could not be had."""
    counters = list(dict.fromkeys(other for drift in suspects for other in counters_beside(drift.counter)))

    async def work(tx: Transaction) -> list[Drift]:
        table = counters[0].aggregate
        locked = await tx.lock(table, [aggregate_id])
        if aggregate_id not in locked:
            raise NotFound(f"there is no {table.key} {aggregate_id}")
        return await set_right(tx, locked, await differing(tx, counters, [aggregate_id]))

    try:
        return (await database.write(work)).value
    except TallyError as error:
        log.warning("reconciliation_postponed", aggregate_id=str(aggregate_id), reason=error.reason)
        return list(suspects)
