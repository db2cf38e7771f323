"""A process with many concurrent callers: `python -m tests.concurrency.caller_process`.

The first line on its standard input is the plan; `go` starts, `stop` ends it early; it ends at once when the input does. On
its standard output it says `ready`, then how many attempts were acknowledged, some twenty times a second.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson
import uvloop

from tests.concurrency.answers import open_channel
from tests.concurrency.claims.claimant import Claimant
from tests.concurrency.history import Answered, write_history
from tests.concurrency.plan import Plan
from tests.concurrency.signer import Signer

CHANNELS = 8
# A caller whose write has no clear answer asks again with the same request id, this often and this far apart in seconds.
REPEATS, REPEAT_PAUSE = 400, 0.05
_TRY_AGAIN = ("DATABASE_UNAVAILABLE", "QUEUE_FULL", "SHUTTING_DOWN", "DEADLINE_EXCEEDED")


class Player(Protocol):
    """One caller, who draws from a seed what to do next."""

    async def play(self) -> Sequence[tuple[Any, Answered]]:
        """Does the next thing; each request with what it was answered."""

    async def repeat(self, request: Any) -> Answered:
        """Asks once more."""

    def chance(self, share: float) -> bool:
        """True so often, by the seed."""


PLAYERS: dict[str, Callable[..., Player]] = {"signers": Signer, "claimants": Claimant}


class Record(list[Any]):
    """A history that counts; with `keep` unset it only counts."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self._keep = keep
        self.acknowledged = 0

    def append(self, attempt: Answered) -> None:
        self.acknowledged += attempt.acknowledged
        if self._keep:
            super().append(attempt)


async def run(plan: Plan, go: asyncio.Event, stop: asyncio.Event) -> None:
    history = Record(plan.keep_history)
    count = max(CHANNELS, len(plan.targets))
    channels = [open_channel(plan.targets[n % len(plan.targets)]) for n in range(count)]
    try:
        say("ready")
        await go.wait()
        progress = asyncio.create_task(_report(history))
        async with asyncio.TaskGroup() as group:
            for n in range(plan.callers):
                player = PLAYERS[plan.players](channels[n % count], history, plan, str(n))
                group.create_task(_call(plan, player, stop))
        progress.cancel()
        await asyncio.wait({progress})
    finally:
        for channel in channels:
            await channel.close()
    write_history(Path(plan.history), history)
    say(history.acknowledged)


async def _call(plan: Plan, player: Player, stop: asyncio.Event) -> None:
    done = 0
    while not stop.is_set() and (not plan.operations or done < plan.operations):
        for request, attempt in await player.play():
            if not _settled(attempt) and player.chance(plan.persistence):
                await _settle(player, request)
        done += 1


async def _settle(player: Player, request: object) -> None:
    for _ in range(REPEATS):
        await asyncio.sleep(REPEAT_PAUSE)
        if _settled(await player.repeat(request)):
            return


def _settled(attempt: Answered) -> bool:
    return not attempt.unknown and attempt.reason not in _TRY_AGAIN


async def _report(history: Record) -> None:
    while True:
        await asyncio.sleep(0.05)
        say(history.acknowledged)


def say(what: object) -> None:
    print(what, flush=True)


def listen(loop: asyncio.AbstractEventLoop, go: asyncio.Event, stop: asyncio.Event) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe({"go": go, "stop": stop}[line.strip()].set)
    os._exit(2)  # whoever started this is gone


async def main() -> None:
    plan = Plan(**orjson.loads(sys.stdin.readline()))
    go, stop = asyncio.Event(), asyncio.Event()
    threading.Thread(target=listen, args=(asyncio.get_running_loop(), go, stop), daemon=True).start()
    await run(plan, go, stop)


if __name__ == "__main__":
    uvloop.run(main())
