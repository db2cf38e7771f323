"""Streams of changes: a slow reader gets the latest value of what changed, so it costs no more than the keys it watches."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from libs.data.errors import ResourceExhausted
from services.aggregator.errors import ResourceNotFound
from services.aggregator.keys import Key
from services.aggregator.loader import Loader
from services.aggregator.memory import Entry, Memory
from services.aggregator.reader import Reader, Reading, read_from_primary


class Watch:
    """What one stream has to tell next."""

    def __init__(self) -> None:
        self._changed: dict[Entry, None] = {}
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    def changed(self, entry: Entry) -> None:
        self._changed[entry] = None
        self._news.set()

    def end(self) -> None:
        """Ends the stream."""
        self._over.set()
        self._news.set()

    async def changes(self, not_before: float) -> list[Entry] | None:
        """What changed since the last time, not before that moment of the monotonic clock; None when it is over."""
        await self._news.wait()
        try:
            async with asyncio.timeout(not_before - time.monotonic()):
                await self._over.wait()
        except TimeoutError:
            pass
        if self._over.is_set():
            return None
        self._news.clear()
        changed, self._changed = list(self._changed), {}
        return changed


class Watches:
    """All streams of changes.

    Args:
        max_watched: counters that may be watched at once, each counted once.
    """

    def __init__(self, memory: Memory, loader: Loader, reader: Reader, max_watched: int) -> None:
        self._memory = memory
        self._loader = loader
        self._reader = reader
        self._max_watched = max_watched

    async def watch(self, keys: Sequence[Key], interval: float) -> AsyncGenerator[list[Reading], None]:
        """All values, then over and over those that changed, not more often than the interval in seconds.

        Raises:
            ResourceNotFound: one of the resources does not exist.
            DatabaseUnavailable: values are not in memory, and could not be read.
        """
        if self._memory.watched + len(keys) > self._max_watched:
            raise ResourceExhausted("too many counters are being watched", retry_after_seconds=5.0)
        watch = Watch()
        entries = [self._memory.watch(key, watch) for key in keys]
        try:
            readings = await self._first(entries)
            sent: dict[Entry, int] = {}
            while True:
                told = time.monotonic()
                if readings:
                    sent.update((reading.entry, reading.value) for reading in readings)
                    yield readings
                changed = await watch.changes(told + interval)
                if changed is None:
                    return
                readings = [self._held(entry) for entry in changed if entry.value != sent[entry]]
        finally:
            for entry in entries:
                self._memory.unwatch(entry, watch)

    async def _first(self, entries: Sequence[Entry]) -> list[Reading]:
        missing = [entry.key for entry in entries if not entry.known]
        loaded = await self._loader.load(missing, fresh=False) if missing else {}
        readings = []
        for entry in entries:
            if not entry.known:
                raise ResourceNotFound(*entry.key)
            if entry.key in loaded:
                readings.append(read_from_primary(*loaded[entry.key]))
            else:
                readings.append(self._held(entry))
        return readings

    def _held(self, entry: Entry) -> Reading:
        return self._reader.reading_of(entry, time.monotonic())
