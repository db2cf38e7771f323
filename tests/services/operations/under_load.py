"""Halting while 64 callers write."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio

from tests.eventually import becomes_true
from tests.services.operations.operators import Operator
from tests.stored import Connection

CALLERS = 64
NEWEST = "SELECT max(xid) FROM operations.events WHERE kind NOT LIKE 'operations.%'"


async def halted_under_load(
    operator: Operator, write: Callable[[int], Awaitable[str]], rows: str, db: Connection
) -> None:
    """Halts while callers write, and resumes; fails where a commit came after the answer (G8).

    Args:
        write: by the caller of this number; answers the commit token.
        rows: counts, in SQL, what the writes store, one row each.
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
    stored, newest = await db.fetchval(rows), await db.fetchval(NEWEST)
    answered.set()
    await asyncio.gather(*callers)
    assert not began_after, "a write that began after Halt answered was acknowledged"
    assert await db.fetchval(rows) == stored
    assert await db.fetchval(NEWEST) == newest
    assert len(acknowledged) <= stored - before
    await operator.resume()
