"""Halting while 64 callers write."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio

from tests.eventually import becomes_true
from tests.services.operations.operators import Operator
from tests.stored import Connection, everything

CALLERS = 64
LATER = "SELECT count(*) FROM operations.events WHERE NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)"


async def halted_under_load(
    operator: Operator,
    write: Callable[[int], Awaitable[str]],
    rows: str,
    db: Connection,
    while_halted: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Halts while callers write, and resumes; fails where a commit came after the answer (G8).

    Args:
        write: by the caller of this number; answers the commit token.
        rows: counts, in SQL, what the writes store, at least one row each.
        while_halted: what else is done before the resume. It leaves no trace.
    """
    answered = asyncio.Event()
    acknowledged: list[str] = []
    began_after: list[str] = []

    async def caller(number: int) -> None:
        while True:
            after = answered.is_set()
            try:
                token = await write(number)
            except grpc.aio.AioRpcError as error:
                if "halted" not in (error.details() or ""):
                    raise
                if after:
                    return
                await asyncio.sleep(0.01)
            else:
                (began_after if after else acknowledged).append(token)

    async def at_work() -> bool:
        return len(acknowledged) > 300

    before = await db.fetchval(rows)
    callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
    await becomes_true(at_work)
    await operator.halt()
    committed = await db.fetchval("SELECT pg_current_snapshot()::text")
    stored = await everything(db)
    answered.set()
    await asyncio.gather(*callers)
    if while_halted:
        await while_halted()
    assert not began_after, "a write that began after Halt answered was acknowledged"
    assert await db.fetchval(LATER, committed) == 0, "something committed after Halt answered"
    after = await everything(db)
    assert {table for table in after if after[table] != stored[table]} == set()
    assert len(acknowledged) <= await db.fetchval(rows) - before
    await operator.resume()
