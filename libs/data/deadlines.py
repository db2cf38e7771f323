"""The deadline of the request being served, carried from the RPC layer down to the database.

A context variable, because every task that serves a request inherits it without each function passing it on. Times are
those of `time.monotonic()`, in seconds.
"""

import time
from contextvars import ContextVar

current_deadline: ContextVar[float | None] = ContextVar("current_deadline", default=None)


def remaining_seconds() -> float | None:
    """Seconds until the current request's deadline (not negative), or None where there is no deadline."""
    deadline = current_deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())
