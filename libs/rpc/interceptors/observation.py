"""One log line and one measurement a call."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import structlog

from libs.data.errors import TallyError
from libs.rpc.method import Context, Method, StreamHandler, UnaryHandler, seconds_left
from libs.rpc.status import code_of
from libs.telemetry.calls import CALLS

_log = structlog.get_logger("tally.rpc")


class Observation:
    """The canonical line `call`: method, code, reason, duration_ms, request_id.

    Failures are always logged, a defect of the server with its traceback; successful calls at `ok_ratio`.
    """

    def __init__(self, ok_ratio: float) -> None:
        self._ok_ratio = ok_ratio

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        path, ok_ratio = method.path, self._ok_ratio
        has_request_id = method.repeatable_by_request_id
        clock, info, draw = time.perf_counter, _log.info, random.random
        record = CALLS.of(method.service, method.name, "OK").record

        async def observed(request: Any, context: Context) -> Any:
            start = clock()
            try:
                response = await handler(request, context)
            except BaseException as error:
                _failed(method, context, error, clock() - start, request)
                raise
            seconds = clock() - start
            record(seconds)
            if ok_ratio >= 1 or draw() < ok_ratio:
                fields: dict[str, Any] = {"method": path, "code": "OK", "duration_ms": round(seconds * 1e3, 3)}
                if has_request_id:
                    fields["request_id"] = request.request_id
                info("call", **fields)
            return response

        return observed

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
            start, count = time.perf_counter(), 0
            try:
                async with contextlib.aclosing(handler(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
                        count += 1
            except BaseException as error:
                _failed(method, context, error, time.perf_counter() - start, request)
                raise
            seconds = time.perf_counter() - start
            CALLS.of(method.service, method.name, "OK").record(seconds)
            _log.info("call", method=method.path, code="OK", duration_ms=round(seconds * 1e3, 3), responses=count)

        return observed


def _failed(method: Method, context: Context, error: BaseException, seconds: float, request: Any) -> None:
    fields: dict[str, Any] = {"method": method.path, "duration_ms": round(seconds * 1e3, 3)}
    if method.repeatable_by_request_id and not method.streams_requests:
        fields["request_id"] = request.request_id
    cause = error.__cause__ if isinstance(error, grpc.aio.AbortError) else error
    if isinstance(cause, asyncio.CancelledError | GeneratorExit):
        code = grpc.StatusCode.DEADLINE_EXCEEDED if seconds_left(context) == 0 else grpc.StatusCode.CANCELLED
        _log.info("call", code=code.name, reason=code.name, **fields)
    elif isinstance(cause, TallyError):
        code = code_of(cause)
        _log.warning("call", code=code.name, reason=cause.reason, message=cause.message, **fields)
    else:
        code = grpc.StatusCode.INTERNAL
        _log.error("call", code=code.name, reason=code.name, exc_info=cause, **fields)
    CALLS.of(method.service, method.name, code.name).record(seconds)
