"""Compares the counters of petitions that were active lately with their rows, over and over."""

import asyncio
from functools import partial
from uuid import UUID

import structlog

from libs.data.catalog import CO_SIGNERS
from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import TallyError
from libs.data.events import Cursor, Event, read_page, start_cursor
from libs.data.transaction import Transaction
from libs.data.verification import Verification, verify
from libs.telemetry.instruments import counter

log = structlog.get_logger(__name__)

DISCREPANCIES = counter("tally.counter.discrepancies", "{counter}", "Counters found to differ from their rows.")
VERIFICATIONS = counter("tally.counter.verifications", "{counter}", "Counters compared with their rows.")

# Of one round; the others are seen when they are active again.
MAX_PETITIONS = 200


class Verifier:
    """A background task of the petition service. A discrepancy is logged (severity MEDIUM), counted and emitted as an event;
    repairing it is an operator's decision."""

    def __init__(self, database: Database, interval_seconds: float) -> None:
        self._database = database
        self._interval = interval_seconds
        self._cursor: Cursor | None = None
        self._to_verify: dict[UUID, None] = {}
        self._reported: set[UUID] = set()

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
        for petition_id in list(self._to_verify):
            del self._to_verify[petition_id]
            try:
                found = await self._verify(petition_id)
            except TallyError:
                self._to_verify[petition_id] = None  # last, so that one that always fails holds up no other
                raise
            if not found.consistent:
                discrepancies.append(found)
        return discrepancies

    async def _verify(self, petition_id: UUID) -> Verification:
        found = await self._database.read(partial(verify, counter=CO_SIGNERS, key=(petition_id,)), PRIMARY)
        VERIFICATIONS.add(1, {"counter": CO_SIGNERS.name})
        if found.consistent:
            self._reported.discard(petition_id)
        else:
            await self._report(petition_id, found)
        return found

    async def _note_recently_active(self) -> None:
        if self._cursor is None:
            self._cursor = (await self._database.read(start_cursor, PRIMARY)).cursor
            return
        cursor = self._cursor
        page = await self._database.read(lambda snapshot: read_page(snapshot, cursor), PRIMARY)
        self._cursor = page.cursor
        for event in page.events:
            if event.kind.startswith("petition.") and len(self._to_verify) < MAX_PETITIONS:
                self._to_verify[UUID(event.aggregate_id)] = None

    async def _report(self, petition_id: UUID, found: Verification) -> None:
        """Once a discrepancy, not once a round."""
        if petition_id in self._reported:
            return
        DISCREPANCIES.add(1, {"counter": CO_SIGNERS.name, "severity": "MEDIUM"})
        await self._database.write(lambda tx: emit_discrepancy(tx, petition_id, found))
        self._reported.add(petition_id)


async def emit_discrepancy(tx: Transaction, petition_id: UUID, found: Verification) -> None:
    """Tells the stream of events; the counter is left as it is."""
    locked = await tx.lock(CO_SIGNERS.aggregate, [petition_id])
    payload = {
        "severity": "MEDIUM",
        "counter": CO_SIGNERS.name,
        "counter_value": found.counter,
        "counted_value": found.counted,
    }
    version = locked[petition_id]["version"]
    tx.emit([Event("petition.counter_discrepancy", petition_id, version, payload)])
