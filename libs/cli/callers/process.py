"""One process of callers: takes orders on standard input and answers each with a measurement.

An order is prepared and answered with a line; the next line starts the clock, so several processes start together.
"""

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator

import grpc
import grpc.aio
import uvloop
from google.protobuf.message import Message

from libs.cli.callers.messages import CALLS, requests
from libs.cli.callers.orders import Measurement, Order, Progress, encode_latencies
from libs.cli.callers.reasons import reason

_PROGRESS_SECONDS = 0.25


async def main() -> None:
    loop = asyncio.get_running_loop()

    async def line() -> str:
        return await loop.run_in_executor(None, sys.stdin.readline)

    channels: dict[str, list[grpc.aio.Channel]] = {}
    while text := await line():
        order = Order.model_validate_json(text)
        run = Run(order, await _connected(channels, order))
        tell("ready")
        await line()
        tell((await run.run()).model_dump_json())


async def _connected(channels: dict[str, list[grpc.aio.Channel]], order: Order) -> list[grpc.aio.Channel]:
    """Connections of their own, made once an address and kept."""
    there = channels.setdefault(order.address, [])
    while len(there) < order.channels:
        there.append(grpc.aio.insecure_channel(order.address, options=[("grpc.use_local_subchannel_pool", 1)]))
    chosen = there[: order.channels]
    await asyncio.wait_for(asyncio.gather(*(channel.channel_ready() for channel in chosen)), 20)
    return chosen


class Run:
    """One order being carried out."""

    def __init__(self, order: Order, channels: list[grpc.aio.Channel]) -> None:
        self._order = order
        self._calls = [CALLS[order.method].stub(channel) for channel in channels]
        self._failed_items = CALLS[order.method].failures
        more = requests(order)
        prepared = list(itertools.islice(more, min(order.prepared, order.calls) if order.calls else order.prepared))
        everything = itertools.chain(prepared, more)
        self._requests: Iterator[Message | list[Message]] = (
            itertools.islice(everything, order.calls) if order.calls else everything
        )
        self._latencies: list[float] = []
        self._failures: Counter[str] = Counter()
        self._refused = 0
        self._ended = 0

    async def run(self) -> Measurement:
        reporter = asyncio.create_task(self._report()) if self._order.report_progress else None
        start = time.perf_counter()
        end = start + self._order.seconds if self._order.seconds else float("inf")
        await asyncio.gather(*(self._caller(n, end) for n in range(self._order.callers)))
        seconds = time.perf_counter() - start
        if reporter:
            reporter.cancel()
        failed_items = sum(n for key, n in self._failures.items() if key.startswith("item "))
        return Measurement(
            seconds=seconds,
            calls=len(self._latencies),
            items=len(self._latencies) * self._order.batch - failed_items - self._refused,
            refused=self._refused,
            failures=dict(self._failures),
            latencies=encode_latencies(self._latencies),
        )

    async def _caller(self, number: int, end: float) -> None:
        call, deadline, clock = self._calls[number % len(self._calls)], self._order.deadline, time.perf_counter
        failed_items, latencies, expected = self._failed_items, self._latencies, self._order.refusals
        for request in self._requests:
            begin = clock()
            if begin >= end:
                return
            made, answer, refused = call(request, timeout=deadline), None, ""
            # Where refusals are expected most calls may be refused. To ask for the status first spares each an exception, a
            # twelfth of what it costs this process.
            if expected and (code := await made.code()) is not grpc.StatusCode.OK:
                refused = reason(grpc.aio.AioRpcError(code, trailing_metadata=await made.trailing_metadata()))
            else:
                try:
                    answer = await made
                except grpc.aio.AioRpcError as error:
                    refused = reason(error)
            took = clock() - begin
            if not refused:
                latencies.append(took)
                if failed_items is not None:
                    for why, n in failed_items(answer).items():
                        if why in expected:
                            self._refused += n
                        else:
                            self._failures[f"item {why}"] += n
            elif refused in expected:
                latencies.append(took)
                self._refused += 1
            else:
                self._failures[refused] += 1
            self._ended += 1

    async def _report(self) -> None:
        reported = 0
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            ended = self._ended
            tell(Progress(calls=ended - reported).model_dump_json())
            reported = ended


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
