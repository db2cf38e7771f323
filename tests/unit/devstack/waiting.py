"""Waiting for a condition, bounded."""

import asyncio
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not true after {seconds:g} s"
        time.sleep(0.02)


async def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)
