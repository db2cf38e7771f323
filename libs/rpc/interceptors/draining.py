"""What becomes of calls when the server stops: accepted ones finish, new ones are refused, streams are ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from libs.data.errors import Unavailable
from libs.rpc.method import Context, Method, StreamHandler, UnaryHandler

_MESSAGE = "the server is shutting down; connect again"


class Draining:
    """Until `begin`, nothing. From then on new calls and streams end with UNAVAILABLE, reason SHUTTING_DOWN.

    A unary call that had begun finishes. A stream of answers only (a watch) ends at once. One that takes requests takes
    no more; answers to those it has taken are still sent.
    """

    def __init__(self) -> None:
        self._begun = False
        self._in_flight = 0
        self._refused = asyncio.Event()
        self._waits: set[_Wait] = set()

    def begin(self) -> None:
        self._begun = True
        for wait in self._waits:
            wait.interrupt()

    async def quiet(self, seconds: float) -> None:
        """Returns once no unary call is in flight and none had to be refused for that long.

        grpc cancels the calls that it has received but not handed over when it stops: callers that share their commits
        come back together, so right after a commit that is most of them.
        """
        while True:
            self._refused.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._refused.wait()
            except TimeoutError:
                if not self._in_flight:
                    return

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        if method.streams_requests:
            # Ending the requests early would pass for the whole of them: they fail instead.
            return lambda requests, context: handler(self._until_begun(requests), context)

        async def admitted(request: Any, context: Context) -> Any:
            if self._begun:
                self._refused.set()
                raise Unavailable(_MESSAGE)
            self._in_flight += 1
            try:
                return await handler(request, context)
            finally:
                self._in_flight -= 1

        return admitted

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        if not method.streams_requests:
            return lambda request, context: self._until_begun(handler(request, context))

        async def drained(requests: Any, context: Context) -> AsyncIterator[Any]:
            taken = self._taken(requests)
            async with contextlib.aclosing(handler(taken, context)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    yield response
            if self._begun:
                raise Unavailable(_MESSAGE)

        return drained

    async def _taken(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with contextlib.suppress(Unavailable):
            async for request in self._until_begun(requests):
                yield request

    async def _until_begun(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The messages; raises Unavailable as soon as draining begins."""
        if self._begun:
            raise Unavailable(_MESSAGE)
        wait = _Wait()
        self._waits.add(wait)
        try:
            iterator = aiter(messages)
            while not self._begun:
                try:
                    message = await wait.for_next(iterator)
                except StopAsyncIteration:
                    return
                yield message
            raise Unavailable(_MESSAGE)
        finally:
            self._waits.discard(wait)
            if hasattr(messages, "aclose"):
                await messages.aclose()


class _Wait:
    """One task's wait for the next message of a stream, which draining interrupts by cancelling it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False

    async def for_next(self, iterator: AsyncIterator[Any]) -> Any:
        self._task = task = asyncio.current_task()
        try:
            return await anext(iterator)
        except asyncio.CancelledError:
            if not self._interrupted or task is None or task.uncancel() > 0:
                raise
            raise Unavailable(_MESSAGE) from None
        finally:
            self._task = None

    def interrupt(self) -> None:
        if self._task is not None:
            self._interrupted = True
            self._task.cancel()
