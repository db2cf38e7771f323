"""Waiting for what becomes true by itself, bounded, instead of for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def becomes_true(condition: Callable[[], Awaitable[object]], within: float = 30.0) -> None:
    """Waits until a condition holds; fails when it does not in time (seconds)."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"did not become true in {within} s"
        await asyncio.sleep(0.01)
