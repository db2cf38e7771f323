"""Reads counters from the primary for everybody who waits: one statement of a counter at a time, with all keys wanted."""

import asyncio
import copy
import time
from collections.abc import Iterable, Mapping
from contextvars import Context
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.deadlines import current_deadline
from libs.data.errors import Internal, ResourceExhausted, TallyError
from libs.data.follower import Follower, Watermark
from services.aggregator import store
from services.aggregator.keys import Key, served
from services.aggregator.measures import LOADS
from services.aggregator.memory import Entry, Memory

log = structlog.get_logger(__name__)

LOAD_SECONDS = 5.0


class Batch:
    """Keys of one counter that are read by one statement."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry | None] = {}
        self._done: asyncio.Future[Watermark] = asyncio.get_running_loop().create_future()
        self._done.add_done_callback(lambda done: done.exception())

    async def finished(self) -> Watermark:
        """What the entries reflect; those without a value do not exist.

        Raises:
            TallyError: could not be read.
        """
        try:
            return await asyncio.shield(self._done)
        except TallyError as error:
            raise copy.copy(error) from error.__cause__

    def succeed(self, watermark: Watermark) -> None:
        self._done.set_result(watermark)

    def fail(self, error: TallyError) -> None:
        self._done.set_exception(error)


class Loader:
    """One lane a counter.

    Args:
        max_waiting: keys that may wait in a lane; more are refused.
    """

    def __init__(self, database: Database, follower: Follower, memory: Memory, max_waiting: int) -> None:
        self._lanes = {
            name: _Lane(counter, database, follower, memory, max_waiting) for name, counter in served().items()
        }

    async def load(self, keys: Iterable[Key], *, fresh: bool) -> Mapping[Key, tuple[Entry, Watermark]]:
        """The keys that exist, read from the primary.

        Args:
            fresh: by a statement that has not begun yet; else one in flight that has the key will do.

        Raises:
            TallyError: could not be read.
        """
        batches: dict[Batch, list[Key]] = {}
        for key in keys:
            batches.setdefault(self._lanes[key[0]].want(key, fresh=fresh), []).append(key)
        loaded: dict[Key, tuple[Entry, Watermark]] = {}
        for batch, wanted in batches.items():
            watermark = await batch.finished()
            for key in wanted:
                entry = batch.entries[key]
                if entry is not None and entry.known:
                    loaded[key] = (entry, watermark)
        return loaded


class _Lane:
    """Loads of one counter follow each other, so that an earlier one never ends after a later one (G6)."""

    def __init__(
        self, counter: Counter, database: Database, follower: Follower, memory: Memory, max_waiting: int
    ) -> None:
        self._counter = counter
        self._database = database
        self._follower = follower
        self._memory = memory
        self._max_waiting = max_waiting
        self._running: Batch | None = None
        self._waiting: Batch | None = None
        self._task: asyncio.Task[None] | None = None

    def want(self, key: Key, *, fresh: bool) -> Batch:
        """The batch that reads the key."""
        if not fresh and self._running is not None and key in self._running.entries:
            return self._running
        if self._waiting is None:
            self._waiting = Batch()
        if len(self._waiting.entries) >= self._max_waiting:
            raise ResourceExhausted("too many counters are waiting to be read", retry_after_seconds=0.5)
        self._waiting.entries[key] = None
        if self._task is None:
            # A context of its own: a load must not live by the deadline of the caller that happened to start it.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        return self._waiting

    async def _run(self) -> None:
        try:
            while self._waiting is not None:
                self._running, self._waiting = self._waiting, None
                current_deadline.set(time.monotonic() + LOAD_SECONDS)
                try:
                    self._running.succeed(await self._load(self._running))
                except TallyError as error:
                    self._running.fail(error)
                except Exception:
                    log.exception("load_failed", counter=self._counter.name)
                    self._running.fail(Internal())
        finally:
            self._running = self._task = None

    async def _load(self, batch: Batch) -> Watermark:
        # Events are followed before anything is read: what commits after the reading arrives as an event.
        await self._follower.started()
        for key in batch.entries:
            batch.entries[key] = self._memory.begin_load(key)
        LOADS.add(1, {"counter": self._counter.name})
        try:
            ids = [resource_id for _, resource_id in batch.entries]
            rows, watermark = await self._database.read(
                partial(store.read, counter=self._counter, resource_ids=ids), PRIMARY
            )
            for row in rows:
                entry = batch.entries[(self._counter.name, row.resource_id)]
                assert entry is not None
                entry.offer(row.value, row.version)
                entry.loaded = watermark
        finally:
            for entry in batch.entries.values():
                if entry is not None:
                    self._memory.end_load(entry)
        return watermark
