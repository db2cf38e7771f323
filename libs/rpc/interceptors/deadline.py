"""Gives every unary call a deadline, carries it to the data layer, and ends calls that overrun it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from libs.data.deadlines import current_deadline
from libs.data.errors import DeadlineExceeded, OutcomeUnknown
from libs.rpc.method import Context, Method, StreamHandler, UnaryHandler, seconds_left

_MARGIN_SHARE = 0.1
_Answer = TypeVar("_Answer")


class Deadline:
    """Sets `current_deadline`: the caller's, or the default where the caller gave none, less a margin to answer in.

    grpc itself cancels a call whose caller's deadline passed. A call that overruns the default is cancelled here: a
    read answers DEADLINE_EXCEEDED; a write OUTCOME_UNKNOWN, for it may have been committing. Streams whose caller gave
    no deadline have none. Times are seconds; the margin is at most a tenth of what remains.
    """

    def __init__(self, default_seconds: float, margin_seconds: float) -> None:
        self._default_seconds = default_seconds
        self._margin_seconds = margin_seconds
        self._overdue = _Watch(default_seconds)

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        if method.streams_requests:
            return lambda requests, context: self._bound_by_caller(handler, requests, context)
        default, margin, monotonic, set_deadline = (
            self._default_seconds,
            self._margin_seconds,
            time.monotonic,
            current_deadline.set,
        )
        default_bound = default - min(margin, default * _MARGIN_SHARE)
        watched = self._watched(method, handler)

        def bounded(request: Any, context: Context) -> Any:
            remaining = seconds_left(context)
            if remaining is None:
                set_deadline(monotonic() + default_bound)
                return watched(request, context)
            set_deadline(monotonic() + remaining - min(margin, remaining * _MARGIN_SHARE))
            return handler(request, context)

        return bounded

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        return lambda request, context: self._bound_by_caller(handler, request, context)

    def _bound_by_caller(self, handler: Callable[[Any, Context], _Answer], request: Any, context: Context) -> _Answer:
        remaining = seconds_left(context)
        if remaining is not None:
            margin = min(self._margin_seconds, remaining * _MARGIN_SHARE)
            current_deadline.set(time.monotonic() + remaining - margin)
        return handler(request, context)

    def _watched(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        overdue, current_task = self._overdue, asyncio.current_task

        async def watched(request: Any, context: Context) -> Any:
            task = current_task()
            overdue.enter(task)
            try:
                return await handler(request, context)
            except asyncio.CancelledError:
                if not overdue.cancelled(task):
                    raise
                raise OutcomeUnknown if method.repeatable_by_request_id else DeadlineExceeded from None
            finally:
                overdue.leave(task)

        return watched


class _Watch:
    """Cancels tasks that stay longer than a limit. One timer for all, for the limit is the same for all."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._deadlines: dict[Any, float] = {}  # in the order of the deadlines
        self._cancelled: set[Any] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, task: Any) -> None:
        self._deadlines[task] = deadline = time.monotonic() + self._limit_seconds
        if self._timer is None:
            self._schedule(deadline)

    def leave(self, task: Any) -> None:
        self._deadlines.pop(task, None)
        if self._cancelled:
            self._cancelled.discard(task)

    def cancelled(self, task: Any) -> bool:
        """Whether the task was cancelled for staying too long. The cancellation is then taken back."""
        if task not in self._cancelled:
            return False
        task.uncancel()
        return True

    def _schedule(self, deadline: float) -> None:
        delay = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._deadlines:
            task, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._schedule(deadline)
                return
            del self._deadlines[task]
            self._cancelled.add(task)
            task.cancel()
