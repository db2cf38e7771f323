"""Whether a counter equals its rows, and setting it right. Derived from the counter's declaration alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter, Key, aggregate_repair_sql, breakdown_repair_sql
from libs.data.errors import NotFound
from libs.data.events import Event
from libs.data.tables import AggregateId
from libs.data.transaction import Snapshot, Transaction

log = structlog.get_logger(__name__)


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
        log.error(
            "counter_discrepancy",
            severity="MEDIUM",
            counter=counter.name,
            resource_id=counter.resource_id(key),
            counter_value=verification.counter,
            counted_value=verification.counted,
        )
    return verification


@dataclass(frozen=True, slots=True)
class Survey:
    """How many keys of a counter were compared, and those that differ from their rows."""

    checked: int
    discrepancies: dict[Key, Verification]


async def survey(snapshot: Snapshot, counter: Counter, aggregates: Sequence[AggregateId] | None = None) -> Survey:
    """Compares every key of a counter, or those of some aggregates, in the one snapshot of one statement.

    Reads all counted rows: for an operator, with a time limit to match.
    """
    rows = await snapshot.fetch(counter.survey_sql, aggregates)
    width = len(counter.key_columns)
    found = {
        tuple(row[:width]): Verification(row["counter"], row["counted"]) for row in rows if row["counter"] is not None
    }
    return Survey(rows[0]["checked"], found)


AUDIT = """
INSERT INTO operations.counter_repairs (counter, resource_id, counter_value, counted_value) VALUES ($1, $2, $3, $4)
"""


async def repair(tx: Transaction, counter: Counter, key: Key) -> Verification:
    """Sets a wrong counter to what the rows say, under the aggregate's lock, with an audit row and an event.

    With it, every other wrong counter of the aggregate's row: a CHECK may bind them to each other.

    Returns:
        What was found before; nothing was written if it was consistent.
    """
    locked = await tx.lock(counter.aggregate, [key[0]])
    if key[0] not in locked:
        raise NotFound(f"there is no {counter.resource} {counter.resource_id(key)}")
    found = await verify(tx, counter, key)
    if found.consistent:
        return found
    wrong = {counter: found}
    if counter.breakdown:
        await tx.execute(breakdown_repair_sql(counter), *key, found.counted)
    else:
        for other in _others_of_the_row(counter):
            if not (of_other := await verify(tx, other, key)).consistent:
                wrong[other] = of_other
        await tx.execute(aggregate_repair_sql(list(wrong)), *key, *(each.counted for each in wrong.values()))
    for each, difference in wrong.items():
        await tx.execute(AUDIT, each.name, each.resource_id(key), difference.counter, difference.counted)
        payload = {
            "severity": "MEDIUM",
            "counter": each.name,
            "counter_value": difference.counter,
            "counted_value": difference.counted,
            "counters": {each.name: {each.resource_id(key): difference.counted}},
        }
        kind = f"{each.aggregate.aggregate}.counter_repaired"
        tx.emit([Event(kind, key[0], locked.next_version(key[0]), payload)])
    return found


def _others_of_the_row(counter: Counter) -> list[Counter]:
    return [
        other
        for other in COUNTERS.values()
        if other is not counter and other.aggregate is counter.aggregate and other.counts and not other.breakdown
    ]
