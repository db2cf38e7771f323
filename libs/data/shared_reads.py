"""Reads that many callers share: those that arrive while one is in flight are read together by the next.

Whoever asks gets what was there after they asked. There is no timer: a caller that is alone goes at once.
"""

import asyncio
import copy
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Generic, TypeVar

import structlog

from libs.data.deadlines import current_deadline, remaining_seconds
from libs.data.errors import DeadlineExceeded, Internal, ResourceExhausted, TallyError
from libs.data.turns import let_others_in

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")

READ_SECONDS = 5.0


class _Batch(Generic[K, V]):
    """Keys that are read by one statement."""

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.done: asyncio.Future[Mapping[K, V]] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(lambda done: done.exception())  # every caller may be gone


class SharedReads(Generic[K, V]):
    """One lane: at most one read of it is in flight in this process.

    Args:
        load: reads many keys at once; answers those that exist.
        max_keys: of one read.
        max_waiting: keys that may wait; more are refused.
    """

    def __init__(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        name: str,
        max_keys: int = 512,
        max_waiting: int = 20_000,
    ) -> None:
        self._load = load
        self._name = name
        self._max_keys = max_keys
        self._max_waiting = max_waiting
        self._waiting: deque[_Batch[K, V]] = deque()
        self._waiting_keys = 0
        self._lane: asyncio.Task[None] | None = None

    async def read(self, key: K) -> V | None:
        """What there is of the key, read after this was called; None if nothing.

        Raises:
            DeadlineExceeded: this caller's time was over.
            ResourceExhausted: too many keys wait.
            TallyError: could not be read.
        """
        done = self._enqueue(key)
        try:
            async with asyncio.timeout(remaining_seconds()):
                return (await asyncio.shield(done)).get(key)
        except TimeoutError:
            raise DeadlineExceeded from None
        except TallyError as error:
            raise copy.copy(error) from error.__cause__

    def _enqueue(self, key: K) -> "asyncio.Future[Mapping[K, V]]":
        batch = self._waiting[-1] if self._waiting else None
        if batch is None or (key not in batch.keys and len(batch.keys) >= self._max_keys):
            batch = _Batch()
            self._waiting.append(batch)
        if key not in batch.keys:
            if self._waiting_keys >= self._max_waiting:
                raise ResourceExhausted("too many reads are waiting", retry_after_seconds=0.5)
            batch.keys[key] = None
            self._waiting_keys += 1
        if self._lane is None:
            # A context of its own: the lane must not live by the deadline of the caller that happened to start it.
            self._lane = asyncio.get_running_loop().create_task(self._run(), context=Context())
        return batch.done

    async def _run(self) -> None:
        answered = 0
        try:
            while self._waiting:
                # A caller that is alone waits for nobody.
                if max(answered, self._waiting_keys) > 1:
                    await let_others_in(lambda: self._waiting_keys, self._max_keys)
                batch = self._waiting.popleft()
                answered = len(batch.keys)
                self._waiting_keys -= len(batch.keys)
                current_deadline.set(time.monotonic() + READ_SECONDS)
                try:
                    batch.done.set_result(await self._load(list(batch.keys)))
                except TallyError as error:
                    batch.done.set_exception(error)
                except Exception:
                    log.exception("shared_read_failed", lane=self._name)
                    batch.done.set_exception(Internal())
        finally:
            self._lane = None
