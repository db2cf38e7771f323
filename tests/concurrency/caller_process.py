"""A process with many concurrent callers: `python -m tests.concurrency.caller_process`.

The first line on its standard input is the plan; `go` starts, `stop` ends it early; it ends at once when the input does. On
its standard output it says `ready`, then how many attempts were acknowledged, some twenty times a second.
"""

import asyncio
import os
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import uvloop
from tally.petition.v1 import petition_service_pb2 as messages

from tests.concurrency.calls import Caller, open_channel
from tests.concurrency.history import Attempt, write_history
from tests.concurrency.mix import Action, Mix, Operation

CHANNELS = 8
# A caller whose write has no clear answer asks again with the same request id, this often and this far apart in seconds.
REPEATS, REPEAT_PAUSE = 400, 0.05
_TRY_AGAIN = ("DATABASE_UNAVAILABLE", "QUEUE_FULL", "SHUTTING_DOWN", "DEADLINE_EXCEEDED")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the callers of one process do.

    Args:
        targets: addresses of the service, used in turn.
        history: where the record goes.
        operations: of each caller; 0 for going on until told to stop.
        persistence: share of writes without a clear answer that are repeated.
        keep_history: unset for more attempts than memory should hold.
    """

    targets: list[str]
    petition_ids: list[str]
    seed: str
    history: str = ""
    callers: int = 64
    operations: int = 0
    users: int = 0
    items: int = 20
    weights: dict[Action, float] = field(default_factory=lambda: {"sign": 1.0})
    deadline: float = 60.0
    persistence: float = 1.0
    keep_history: bool = True

    def of(self, name: str, *targets: str) -> "Plan":
        """The same for other callers."""
        return replace(self, targets=list(targets), seed=f"{self.seed}/{name}")


class Record(list[Attempt]):
    """A history that counts; with `keep` unset it only counts."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self._keep = keep
        self.acknowledged = 0

    def append(self, attempt: Attempt) -> None:
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
                caller = Caller(channels[n % count], history, plan.deadline)
                mix = Mix(f"{plan.seed}/{n}", plan.petition_ids, plan.users, plan.weights, plan.items)
                group.create_task(_call(plan, caller, mix, stop))
        progress.cancel()
        await asyncio.wait({progress})
    finally:
        for channel in channels:
            await channel.close()
    write_history(Path(plan.history), history)
    say(history.acknowledged)


async def _call(plan: Plan, caller: Caller, mix: Mix, stop: asyncio.Event) -> None:
    done = 0
    while not stop.is_set() and (not plan.operations or done < plan.operations):
        operation = mix.next()
        for request, attempt in zip(operation.requests, await _do(caller, mix, operation), strict=True):
            if not _settled(attempt) and mix.chance(plan.persistence):
                await _settle(caller, request)
        done += 1


async def _do(caller: Caller, mix: Mix, operation: Operation) -> list[Attempt]:
    signatures = [r for r in operation.requests if isinstance(r, messages.CoSignRequest)]
    match operation.action:
        case "batch":
            return await caller.batch(signatures)
        case "stream":
            return await caller.stream(signatures)
        case "cancel":
            return [await caller.sign_and_cancel(signatures[0], mix.pause(0.02))]
        case "hurry":
            return [await caller.sign(signatures[0], 0.001)]
        case _:
            return [await _repeat(caller, operation.requests[0])]


async def _repeat(caller: Caller, request: messages.CoSignRequest | messages.WithdrawCoSignRequest) -> Attempt:
    if isinstance(request, messages.WithdrawCoSignRequest):
        return await caller.withdraw(request)
    return await caller.sign(request)


async def _settle(caller: Caller, request: messages.CoSignRequest | messages.WithdrawCoSignRequest) -> None:
    for _ in range(REPEATS):
        await asyncio.sleep(REPEAT_PAUSE)
        if _settled(await _repeat(caller, request)):
            return


def _settled(attempt: Attempt) -> bool:
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
