"""Many requests in one call: a batch, or a stream. Each has a result of its own, in order; a bad one fails alone."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from libs.data.errors import InvalidInput, TallyError
from libs.rpc.validation import violations

Q = TypeVar("Q", bound=Message)
Command = TypeVar("Command")
Result = TypeVar("Result")


async def outcomes_of_each(
    requests: Sequence[Q],
    to_command: Callable[[Q], Command],
    submit_many: Callable[[Sequence[Command]], Awaitable[Sequence[Result | TallyError]]],
    path: str = "requests[{}].",
) -> list[Result | TallyError]:
    """One outcome a request, in order: those that are valid are submitted together.

    Args:
        path: of a request in what the caller sent, with a place for its number.
    """
    commands: list[Command] = []
    refused: dict[int, TallyError] = {}
    for place, request in enumerate(requests):
        if bad := violations(request, path.format(place)):
            refused[place] = InvalidInput(bad)
        else:
            commands.append(to_command(request))
    outcomes = iter(await submit_many(commands))
    return [refused[n] if n in refused else next(outcomes) for n in range(len(requests))]


async def answered_in_order(
    requests: AsyncIterator[Q], answer: Callable[[Q], Awaitable[Result]], window: int
) -> AsyncIterator[Result]:
    """One answer a request, in order, with at most `window` of them in flight: the sender waits for the rest.

    When a stream ends early, by either side, what still waits is cancelled.
    """
    in_flight: deque[asyncio.Future[Result]] = deque()
    reader: asyncio.Future[Q] | None = None
    upcoming = aiter(requests)
    try:
        while True:
            if reader is None and len(in_flight) < window:
                reader = asyncio.ensure_future(anext(upcoming))
            waiting: set[asyncio.Future[object]] = set()
            for task in (reader, in_flight[0] if in_flight else None):
                if task is not None:
                    waiting.add(task)  # type: ignore[arg-type]  # whatever it answers
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            while in_flight and in_flight[0].done():
                yield in_flight.popleft().result()
            if reader is not None and reader.done():
                request, reader = reader.result(), None
                in_flight.append(asyncio.ensure_future(answer(request)))
    except StopAsyncIteration:
        for task in in_flight:
            yield await task
    finally:
        for pending in (reader, *in_flight):
            if pending is not None:
                pending.cancel()
