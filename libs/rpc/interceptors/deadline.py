"""Gives every unary call a deadline and carries it to the data layer."""

import time
from collections.abc import AsyncIterator
from typing import Any

from libs.data.deadlines import current_deadline
from libs.rpc.method import Context, Method, StreamHandler, UnaryHandler, seconds_left

_MARGIN_SHARE = 0.1


class Deadline:
    """Sets `current_deadline`: the caller's, or the default where the caller gave none, less a margin to answer in.

    Streams whose caller gave no deadline have none. Times are seconds; the margin is at most a tenth of what remains.
    """

    def __init__(self, default_seconds: float, margin_seconds: float) -> None:
        self._default_seconds = default_seconds
        self._margin_seconds = margin_seconds

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        default = None if method.streams else self._default_seconds
        margin = self._margin_seconds
        monotonic = time.monotonic
        set_deadline = current_deadline.set

        def bounded(request: Any, context: Context) -> Any:
            remaining = seconds_left(context)
            if remaining is None:
                remaining = default
            if remaining is not None:
                set_deadline(monotonic() + remaining - min(margin, remaining * _MARGIN_SHARE))
            return handler(request, context)

        return bounded

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        def bounded(request: Any, context: Context) -> AsyncIterator[Any]:
            remaining = seconds_left(context)
            if remaining is not None:
                margin = min(self._margin_seconds, remaining * _MARGIN_SHARE)
                current_deadline.set(time.monotonic() + remaining - margin)
            return handler(request, context)

        return bounded
