"""What calls leave behind: one canonical log line and one measurement each, made many at a time.

On the path of a call, rendering its line costs some 7 % of an empty server's throughput; in a batch, where code and
data stay in the processor's caches, a fraction of that. So a call leaves an `EndedCall`, and `Calls.drain`, ten times a
second, makes lines and measurements of what is there.
"""

import asyncio
import random
import time

from libs.telemetry import logs
from libs.telemetry.durations import DURATIONS

# The method's path, start and end by `time.perf_counter()`, code, reason, message, request_id. A bare tuple because that
# is the quickest thing to make.
EndedCall = tuple[str, float, float, str, str, str, str]

_DRAIN_INTERVAL_SECONDS = 0.1
_MOST_WAITING = 5_000
_LEVELS = {
    "INTERNAL": "error",
    "UNKNOWN": "error",
    "UNAVAILABLE": "warning",
    "RESOURCE_EXHAUSTED": "warning",
    "DEADLINE_EXCEEDED": "warning",
}


class Calls:
    """The calls of a server. For the event loop's thread only.

    Every call is measured; calls that failed are always logged, those that succeeded at `ok_ratio`.
    """

    def __init__(self, ok_ratio: float = 1.0) -> None:
        self._ok_ratio = ok_ratio
        self._waiting: list[EndedCall] = []

    def add(self, call: EndedCall) -> None:
        self._waiting.append(call)
        if len(self._waiting) >= _MOST_WAITING:
            self.drain()

    def drain(self) -> None:
        """Writes the lines and records the durations of what waits."""
        calls, self._waiting = self._waiting, []
        if not calls:
            return
        record, ok_ratio = DURATIONS.record, self._ok_ratio
        wall_start = time.time() - time.perf_counter()
        lines: list[logs.CallLine] = []
        for path, start, end, code, reason, message, request_id in calls:
            record(path, code, end - start)
            if code != "OK":
                outcome = (_LEVELS.get(code, "info"), path, code, reason, message)
            elif ok_ratio >= 1 or random.random() < ok_ratio:  # noqa: S311
                outcome = ("info", path, code, reason, message)
            else:
                continue
            lines.append((outcome, request_id, wall_start + end, (end - start) * 1e3))
        logs.write_calls(lines)

    async def drain_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_INTERVAL_SECONDS)
            self.drain()
