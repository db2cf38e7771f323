"""Compares counters of aggregates that were active lately with their rows, over and over."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog

from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.errors import NotFound, TallyError
from libs.data.events import Cursor, Event, read_page, start_cursor
from libs.data.tables import AggregateId
from libs.data.transaction import Transaction
from libs.data.verification import DISCREPANCIES, VERIFICATIONS, Verification, verify

log = structlog.get_logger(__name__)

# Aggregates of each counter in one round; the others are seen when they are active again.
MAX_AGGREGATES = 200


class _Suspect(NamedTuple):
    """A counter of an aggregate that something happened to."""

    counter: Counter
    aggregate_id: AggregateId


class Verifier:
    """A background task of a service. A discrepancy is logged (severity MEDIUM), counted and emitted as an event; repairing
    it is an operator's decision.

    Args:
        counters: those of the service; each counts rows, and is not broken down.
        interval_seconds: between rounds.
    """

    def __init__(self, database: Database, counters: Sequence[Counter], interval_seconds: float) -> None:
        assert all(counter.counts and not counter.breakdown for counter in counters), "nothing to compare with"
        self._database = database
        self._counters = counters
        self._interval = interval_seconds
        self._most = MAX_AGGREGATES * len(counters)
        self._cursor: Cursor | None = None
        self._to_verify: dict[_Suspect, None] = {}
        self._reported: set[_Suspect] = set()

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again."""
        while True:
            try:
                await self.round()
            except TallyError as error:
                log.warning("verification_postponed", reason=error.reason)
            await asyncio.sleep(self._interval)

    async def round(self) -> list[Verification]:
        """Verifies what was active since the last round and answers what was found inconsistent.

        What a round that failed left undone is done by the next one.
        """
        await self._note_recently_active()
        discrepancies = []
        for suspect in list(self._to_verify):
            del self._to_verify[suspect]
            try:
                found = await self._verify(suspect)
            except NotFound:
                self._reported.discard(suspect)  # the aggregate is gone, and its counters with it
                continue
            except TallyError:
                self._to_verify[suspect] = None  # last, so that one that always fails holds up no other
                raise
            if not found.consistent:
                discrepancies.append(found)
        return discrepancies

    async def _verify(self, suspect: _Suspect) -> Verification:
        counter, aggregate_id = suspect
        found = await self._database.read(partial(verify, counter=counter, key=(aggregate_id,)), PRIMARY)
        VERIFICATIONS.add(1, {"counter": counter.name})
        if found.consistent:
            self._reported.discard(suspect)
        else:
            await self._report(suspect, found)
        return found

    async def _note_recently_active(self) -> None:
        if self._cursor is None:
            self._cursor = (await self._database.read(start_cursor, PRIMARY)).cursor
            return
        cursor = self._cursor
        page = await self._database.read(lambda snapshot: read_page(snapshot, cursor), PRIMARY)
        self._cursor = page.cursor
        for event in page.events:
            for counter in self._counters:
                table = counter.aggregate
                if event.kind.startswith(f"{table.aggregate}.") and len(self._to_verify) < self._most:
                    self._to_verify[_Suspect(counter, table.parse_key(event.aggregate_id))] = None

    async def _report(self, suspect: _Suspect, found: Verification) -> None:
        """Once a discrepancy, not once a round."""
        if suspect in self._reported:
            return
        DISCREPANCIES.add(1, {"counter": suspect.counter.name, "severity": "MEDIUM"})
        await self._database.write(partial(emit_discrepancy, suspect=suspect, found=found))
        self._reported.add(suspect)


async def emit_discrepancy(tx: Transaction, suspect: _Suspect, found: Verification) -> None:
    """Tells the stream of events; the counter is left as it is.

    Raises:
        NotFound: there is no such aggregate any more.
    """
    counter, aggregate_id = suspect
    table = counter.aggregate
    locked = await tx.lock(table, [aggregate_id])
    if aggregate_id not in locked:
        raise NotFound(f"there is no {table.key} {aggregate_id}")
    payload = {
        "severity": "MEDIUM",
        "counter": counter.name,
        "counter_value": found.counter,
        "counted_value": found.counted,
    }
    version = locked[aggregate_id]["version"]
    tx.emit([Event(f"{table.aggregate}.counter_discrepancy", aggregate_id, version, payload)])
