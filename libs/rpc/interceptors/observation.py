"""One canonical log line and one measurement a call."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import structlog

from libs.data.errors import TallyError
from libs.rpc.method import Context, Method, Refused, StreamHandler, UnaryHandler, seconds_left
from libs.rpc.status import code_of, shortened
from libs.telemetry.calls import Calls

_log = structlog.get_logger("tally.rpc")


class Observation:
    """Leaves every call with its code, reason, duration and request_id in `calls`; logs a defect with its traceback."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        path, add, clock = method.path, self._calls.add, time.perf_counter
        has_request_id = method.repeatable_by_request_id and not method.streams_requests

        async def observed(request: Any, context: Context) -> Any:
            start = clock()
            request_id = request.request_id if has_request_id else ""
            try:
                response = await handler(request, context)
            except BaseException as error:
                add((path, start, clock(), *_outcome(error, method, context), request_id))
                raise
            if type(response) is Refused:
                add((path, start, clock(), *_told(response.error), request_id))
            else:
                add((path, start, clock(), "OK", "", "", request_id))
            return response

        return observed

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
            start = time.perf_counter()
            outcome = ("OK", "", "")
            try:
                async with contextlib.aclosing(handler(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
            except BaseException as error:
                outcome = _outcome(error, method, context)
                raise
            finally:
                self._calls.add((method.path, start, time.perf_counter(), *outcome, ""))

        return observed


def _outcome(error: BaseException, method: Method, context: Context) -> tuple[str, str, str]:
    """Code, reason and message of a call that failed."""
    # What left the error mapping is grpc's way to end the call; its cause is what the handler raised.
    mapped = isinstance(error, grpc.aio.AbortError) or isinstance(error.__cause__, TallyError)
    cause: BaseException | None = error.__cause__ if mapped else error
    if isinstance(cause, asyncio.CancelledError | GeneratorExit):
        code = grpc.StatusCode.DEADLINE_EXCEEDED if seconds_left(context) == 0 else grpc.StatusCode.CANCELLED
        return code.name, code.name, "the caller went away"
    if cause is None:
        code = context.code()
        return code.name, code.name, "aborted by the handler"
    if isinstance(cause, TallyError):
        return _told(cause)
    _log.error("handler failed", method=method.path, exc_info=cause)
    return "INTERNAL", "INTERNAL", f"{type(cause).__name__}: {cause}"


def _told(error: TallyError) -> tuple[str, str, str]:
    return code_of(error).name, error.reason, shortened(error.message)
