"""Once Halt has answered, no further write commits (G8)."""

import asyncio
from pathlib import Path

import asyncpg
import grpc.aio
import pytest
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.data.catalog.petition import CO_SIGNERS, ORDINALS, PETITIONS
from libs.data.database import Committed, Database
from libs.data.errors import Halted
from libs.data.ids import parse_id
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction
from services.operations.halting import writes_ended
from tests.concurrency.service_process import petition_service as petition_process
from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.operations.operators import Operator
from tests.services.operations.under_load import halted_under_load
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection, counters_equal_rows


class SlowCommit:
    """A write of the data library that stops after its look at the halt flag, before its COMMIT, until it is let go on."""

    def __init__(self, petition_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._petition_id = parse_id(petition_id)
        self.sealed = asyncio.Event()
        self.go_on = asyncio.Event()
        seal = Transaction.seal

        async def seal_and_wait(transaction: Transaction, *, while_halted: bool = False) -> str | None:
            token = await seal(transaction, while_halted=while_halted)
            if not while_halted:
                self.sealed.set()
                await self.go_on.wait()
            return token

        monkeypatch.setattr(Transaction, "seal", seal_and_wait)

    async def work(self, tx: Transaction) -> None:
        await tx.lock(PETITIONS, [self._petition_id])
        tx.increment(ORDINALS, {(self._petition_id,): 1})
        tx.increment(CO_SIGNERS, {(self._petition_id,): 0})


@pytest.fixture
async def petition_id(petitions: Petitions) -> str:
    return (await petitions.create()).petition_id


async def test_halt_waits_for_a_write_that_has_looked_at_the_flag_but_not_committed(
    operator: Operator, petition_id: str, database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowCommit(petition_id, monkeypatch)
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        writing = asyncio.create_task(database.write(slow.work))
        await slow.sealed.wait()
        halting = asyncio.create_task(operator.halt())
        await becomes_true(lambda: db.fetchval("SELECT halted FROM operations.halt"))
        await asyncio.sleep(0.5)
        assert not halting.done(), "Halt answered while a write could still commit"
        slow.go_on.set()
        committed: Committed[None] = await writing
        assert committed.token
        await halting
        with pytest.raises(Halted):
            await database.write(slow.work)


async def begun_after_the_halt(db: Connection, other: Connection) -> asyncpg.transaction.Transaction:
    """A write that is at work with a larger id than the halt, which has committed; nothing with a larger one has ended.

    Tried until it is so: ids are the whole server's, and other tests' transactions may end in between.
    """
    for _ in range(100):
        halt = db.transaction()
        await halt.start()
        await db.execute("UPDATE operations.halt SET halted = true")
        halt_xid = await db.fetchval("SELECT pg_current_xact_id()::text::bigint")
        write = other.transaction()
        await write.start()
        write_xid = await other.fetchval("SELECT pg_current_xact_id()::text::bigint")
        assert not await other.fetchval("SELECT halted FROM operations.halt")
        await halt.commit()
        assert write_xid > halt_xid
        if await db.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") <= write_xid:
            return write
        await write.rollback()
        await db.execute("UPDATE operations.halt SET halted = false")
    pytest.fail("other transactions never left a gap")


async def test_halt_waits_for_a_write_that_began_after_the_halt_did(
    operator: Operator, petition_id: str, database_url: str, db: Connection
) -> None:
    """Its transaction id is larger than that of the halt: no snapshot's `xmax` tells of it while it runs."""
    other = await asyncpg.connect(database_url)
    try:
        write = await begun_after_the_halt(db, other)
        async with Database.open(DatabaseSettings(database_url=database_url)) as database:
            waiting = asyncio.create_task(writes_ended(database))
            await asyncio.sleep(0.5)
            assert not waiting.done(), "said that writes ended while one could still commit"
            await write.commit()
            await asyncio.wait_for(waiting, 20)
    finally:
        await other.close()


async def test_a_halt_out_of_time_says_that_writes_still_run_and_a_repeat_waits_again(
    operator: Operator, petitions: Petitions, petition_id: str, db: Connection
) -> None:
    request_id = new_uuid()
    async with db.transaction():
        await db.fetchval("SELECT pg_current_xact_id()")
        for _ in range(2):
            answer = await refused(operator.halt(request_id=request_id, timeout=1.5))
            assert answer.said == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
            assert "still run" in answer.message and "request_id" in answer.message
        assert (await operator.status()).halt_state.halted
        assert (await refused(petitions.sign(petition_id))).reason == "HALTED"
    answer_at_last = await operator.halt(request_id=request_id)
    assert answer_at_last.replayed and answer_at_last.halt_state.halted


async def test_no_write_commits_after_halt_answered_under_64_callers_of_two_processes(
    operator: Operator, petitions: Petitions, database_url: str, db: Connection, tmp_path: Path
) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(4)]
    with petition_process(database_url, tmp_path / "petition.log") as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            services = [petitions, Petitions(PetitionServiceStub(channel))]

            async def sign(caller: int) -> str:
                signed = await services[caller % len(services)].sign(ids[caller % len(ids)])
                return signed.commit_token

            for _ in range(3):
                await halted_under_load(operator, sign, "SELECT count(*) FROM petition.co_signs", db)
    await counters_equal_rows(db)
