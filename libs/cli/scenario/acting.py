"""How an act is played: many calls at a time, each counted by what became of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from libs.cli.callers.reasons import reason
from libs.cli.scenario.ledger import Act, Ledger

# Seconds a call may take.
DEADLINE = 30.0

Advance = Callable[[int], None]


@contextmanager
def acting(ledger: Ledger, name: str) -> Iterator[Act]:
    """An act that is in the ledger, and how long it took."""
    act = Act(name)
    ledger.acts.append(act)
    start = time.perf_counter()
    yield act
    act.seconds = time.perf_counter() - start


async def each(
    act: Act, plan: Iterable[Any], call: Callable[[Act, Any], Awaitable[None]], advance: Advance, callers: int
) -> None:
    """The calls of a plan, so many at a time; one that fails is counted and the others go on."""
    jobs = iter(plan)

    async def caller() -> None:
        for job in jobs:
            begin = time.perf_counter()
            act.sent += 1
            try:
                await call(act, job)
            except grpc.aio.AioRpcError as error:
                act.failures[reason(error)] += 1
            else:
                act.latencies.append(time.perf_counter() - begin)
            advance(1)

    await asyncio.gather(*(caller() for _ in range(callers)))
