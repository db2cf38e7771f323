"""Whether a counter equals its rows, and setting it right. Derived from the counter's declaration alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter, Key
from libs.data.errors import NotFound
from libs.data.events import Event
from libs.data.tables import AggregateId, Locked
from libs.data.transaction import Snapshot, Transaction
from libs.telemetry.instruments import counter as counter_instrument

log = structlog.get_logger(__name__)

DISCREPANCIES = counter_instrument(
    "tally.counter.discrepancies", "{counter}", "Counters found to differ from their rows."
)
VERIFICATIONS = counter_instrument("tally.counter.verifications", "{counter}", "Counters compared with their rows.")


@dataclass(frozen=True, slots=True)
class Verification:
    """A counter, and what it should be by its rows, at one moment."""

    counter: int
    counted: int

    @property
    def consistent(self) -> bool:
        return self.counter == self.counted


async def verify(snapshot: Snapshot, counter: Counter, key: Key) -> Verification:
    """Compares counter and rows in the one snapshot of one statement. Counts rows: not for a request path.

    Raises:
        NotFound: there is no such resource.
    """
    row = await snapshot.fetchrow(counter.verify_sql, *key)
    if row is None or row["counter"] is None:
        raise NotFound(f"there is no {counter.resource} {counter.resource_id(key)}")
    verification = Verification(row["counter"], row["counted"])
    if not verification.consistent:
        log_discrepancy(counter, key, verification)
    return verification


def log_discrepancy(counter: Counter, key: Key, found: Verification) -> None:
    """Alerts an operator."""
    log.error(
        "counter_discrepancy",
        severity="MEDIUM",
        counter=counter.name,
        resource_id=counter.resource_id(key),
        counter_value=found.counter,
        counted_value=found.counted,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """How many keys of a counter were compared, and those that differ from their rows."""

    checked: int
    discrepancies: dict[Key, Verification]


async def survey(snapshot: Snapshot, counter: Counter, aggregates: Sequence[AggregateId] | None = None) -> Survey:
    """Compares every key of a counter, or those of some aggregates, in the one snapshot of one statement.

    Reads all counted rows: for an operator or a background task, with a time limit to match.
    """
    if aggregates is None:
        rows = await snapshot.fetch(counter.survey_sql)
    else:
        rows = await snapshot.fetch(counter.survey_of_sql, aggregates)
    width = len(counter.key_columns)
    found = {
        tuple(row[:width]): Verification(row["counter"], row["counted"]) for row in rows if row["counter"] is not None
    }
    return Survey(rows[0]["checked"], found)


AUDIT = """
INSERT INTO operations.counter_repairs (counter, resource_id, counter_value, counted_value)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
"""
FORGET = """
DELETE FROM operations.counter_discrepancies d
USING unnest($1::text[], $2::text[], $3::text[]) AS gone(counter, aggregate_id, resource_id)
WHERE d.counter = gone.counter AND d.aggregate_id = gone.aggregate_id AND d.resource_id = gone.resource_id
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter of one key that differs from its rows."""

    counter: Counter
    key: Key
    found: Verification
    repaired: bool = False


async def differing(snapshot: Snapshot, counters: Sequence[Counter], aggregates: Sequence[AggregateId]) -> list[Drift]:
    """Where counters of some aggregates differ from their rows, each counter in the one snapshot of one statement."""
    drifts = []
    for counter in counters:
        surveyed = await survey(snapshot, counter, aggregates)
        VERIFICATIONS.add(surveyed.checked, {"counter": counter.name})
        drifts += [Drift(counter, key, found) for key, found in surveyed.discrepancies.items()]
    return drifts


async def repair(tx: Transaction, counter: Counter, key: Key) -> Verification:
    """Sets a wrong counter to what the rows say, under the aggregate's lock, with an audit row and an event.

    With it, every other wrong counter of the same row: a CHECK may bind them to each other.

    Returns:
        What was found before; nothing was written if it was consistent.
    """
    locked = await tx.lock(counter.aggregate, [key[0]])
    if key[0] not in locked:
        raise NotFound(f"there is no {counter.resource} {counter.resource_id(key)}")
    found = await verify(tx, counter, key)
    if not found.consistent:
        others = [other for other in counters_beside(counter) if other is not counter]
        drifts = [Drift(counter, key, found), *[Drift(each, key, await verify(tx, each, key)) for each in others]]
        await set_right(tx, locked, [drift for drift in drifts if not drift.found.consistent])
    return found


def counters_beside(counter: Counter) -> list[Counter]:
    """Those that count rows and are in the same rows as this one, itself included."""
    return [
        other
        for other in COUNTERS.values()
        if other.aggregate is counter.aggregate and other.table == counter.table and other.counts
    ]


async def set_right(tx: Transaction, locked: Locked[Any], drifts: Sequence[Drift]) -> list[Drift]:
    """Moves counters to what their rows say, with an audit row and an event each.

    Args:
        drifts: all that was found of each row, under these locks.

    Returns:
        The same, repaired or not: what has no row, where none appears by itself, cannot be.
    """
    by_counter: dict[Counter, list[Drift]] = {}
    for drift in drifts:
        by_counter.setdefault(drift.counter, []).append(drift)
    repaired: list[Drift] = []
    left: list[Drift] = []
    for counter, of_counter in by_counter.items():
        before = await _values_before(tx, counter, [drift.key for drift in of_counter]) if counter.table else None
        for drift in of_counter:
            there = before is None or counter.rows_appear or drift.key in before
            (repaired if there else left).append(replace(drift, repaired=there))
        additions = {
            drift.key: drift.found.counted - drift.found.counter for drift in repaired if drift.counter is counter
        }
        tx.increment(counter, additions, before)
    await _tell(tx, locked, repaired)
    return repaired + left


async def _values_before(tx: Transaction, counter: Counter, keys: Sequence[Key]) -> dict[Key, int]:
    """What rows of a counter's own table have now, where there are any."""
    rows = await tx.fetch(counter.values_sql, *map(list, zip(*keys, strict=True)))
    return {tuple(row[:-1]): row[-1] for row in rows}


async def _tell(tx: Transaction, locked: Locked[Any], repaired: Sequence[Drift]) -> None:
    if not repaired:
        return
    rows = [
        (drift.counter.name, drift.counter.resource_id(drift.key), drift.found.counter, drift.found.counted)
        for drift in repaired
    ]
    tx.write_last(AUDIT, *map(list, zip(*rows, strict=True)), rows=len(rows))
    names, aggregates = [row[0] for row in rows], [str(drift.key[0]) for drift in repaired]
    await tx.execute(FORGET, names, aggregates, [row[1] for row in rows])
    for drift, (name, resource_id, value, counted) in zip(repaired, rows, strict=True):
        payload = {
            "severity": "MEDIUM",
            "counter": name,
            "resource_id": resource_id,
            "counter_value": value,
            "counted_value": counted,
        }
        aggregate_id = drift.key[0]
        kind = f"{drift.counter.aggregate.aggregate}.counter_repaired"
        tx.emit([Event(kind, aggregate_id, locked.next_version(aggregate_id), payload)])
