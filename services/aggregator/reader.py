"""Answers a question for counters: from memory if that is good enough for the caller, else from the primary."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from libs.data.commit_tokens import CommitToken, decode_token, unknown_token
from libs.data.consistency import ANY, Consistency
from libs.data.deadlines import remaining_seconds
from libs.data.errors import DeadlineExceeded
from libs.data.follower import Follower, Watermark
from services.aggregator.keys import Key
from services.aggregator.loader import Loader
from services.aggregator.measures import Asked
from services.aggregator.memory import Entry, Memory

# How often, and how many seconds apart, the stream is asked for a commit that an open transaction keeps from it, before the
# primary is.
TOKEN_POLLS = 5
TOKEN_PAUSE = 0.01


class Reading(NamedTuple):
    """A counter's value, at least as new as the watermark, which was `age` seconds old when the reading was taken."""

    entry: Entry
    value: int
    watermark: Watermark
    age: float
    from_primary: bool


def read_from_primary(entry: Entry, watermark: Watermark) -> Reading:
    return Reading(entry, entry.value, watermark, time.monotonic() - watermark.begun, from_primary=True)


class Reader:
    """Reads by what callers ask of a read."""

    def __init__(self, follower: Follower, memory: Memory, loader: Loader, asked: Asked) -> None:
        self._follower = follower
        self._memory = memory
        self._loader = loader
        self._asked = asked

    def watermark_of(self, entry: Entry) -> Watermark:
        """What a held entry reflects: all the stream has told, and what it was loaded with."""
        current, loaded = self._follower.watermark, entry.loaded
        if current is None or (loaded is not None and loaded.begun > current.begun):
            assert loaded is not None
            if current is not None and current.horizon > loaded.horizon:
                entry.loaded = loaded = replace(loaded, horizon=current.horizon, token=current.token)
            return loaded
        return current

    async def read(self, keys: Iterable[Key], consistency: Consistency = ANY) -> Mapping[Key, Reading]:
        """The canonical keys that exist.

        Raises:
            InvalidInput: the token in `consistency` is not one of this database's.
            DatabaseUnavailable, DeadlineExceeded: what is asked for is not in memory, and could not be read.
        """
        try:
            async with asyncio.timeout(remaining_seconds()):
                return await self._read(set(keys), consistency)
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _read(self, keys: set[Key], consistency: Consistency) -> dict[Key, Reading]:
        readings: dict[Key, Reading] = {}
        good_at = await self._memory_is_good_at(consistency)
        if good_at is not None:
            for key in keys:
                entry = self._memory.find(key)
                if entry is not None and entry.known:
                    readings[key] = self.reading_of(entry, good_at)
        self._asked.hits += len(readings)
        missing = keys - readings.keys()
        if missing:
            self._asked.misses += len(missing)
            loaded = await self._loader.load(missing, fresh=consistency != ANY)
            for key, (entry, watermark) in loaded.items():
                readings[key] = read_from_primary(entry, watermark)
        return readings

    def reading_of(self, entry: Entry, now: float) -> Reading:
        """What is held, as it is now."""
        watermark = self.watermark_of(entry)
        return Reading(entry, entry.value, watermark, now - watermark.begun, from_primary=False)

    async def _memory_is_good_at(self, consistency: Consistency) -> float | None:
        """The moment at which memory is good enough for the caller; None if it is not.

        Ages are told as of that moment: computed later, one could exceed what was asked for.
        """
        if consistency.primary:
            return None
        if consistency.max_staleness is not None:
            for attempt in range(2):
                if attempt:
                    await self._follower.catch_up()
                watermark, now = self._follower.watermark, time.monotonic()
                if watermark is not None and now - watermark.begun <= consistency.max_staleness:
                    return now
            return None
        if consistency.at_least is not None and not await self._has_reached(consistency.at_least):
            return None
        return time.monotonic()

    async def _has_reached(self, token: CommitToken) -> bool:
        """Whether the stream has told of the commit. An acknowledged commit it has not is there on the primary."""
        xid = decode_token(token)
        for attempt in range(TOKEN_POLLS):
            watermark = self._follower.watermark
            if watermark is not None and watermark.horizon > xid:
                return True
            if attempt:
                await asyncio.sleep(TOKEN_PAUSE)
            await self._follower.catch_up()
            if xid >= self._follower.ceiling:
                raise unknown_token()
        watermark = self._follower.watermark
        return watermark is not None and watermark.horizon > xid
