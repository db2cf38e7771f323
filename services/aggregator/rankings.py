"""Rankings by every counter that has one: read when first asked for, then kept by events."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.deadlines import remaining_seconds
from libs.data.errors import DatabaseUnavailable, DeadlineExceeded, FieldViolation, InvalidInput
from libs.data.events import StoredEvent
from libs.data.follower import Follower, Watermark
from services.aggregator import store
from services.aggregator.ranking import KEPT, Ranking


class Top(NamedTuple):
    """The highest resources and their values, at least as new as the watermark."""

    ranked: list[tuple[str, int]]
    watermark: Watermark
    from_primary: bool


class _Kept:
    """One counter's ranking and what it reflects."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.ranking: Ranking | None = None
        self.loading: Ranking | None = None
        self.loaded: Watermark | None = None
        # Until when it is sure who belongs in it, while there are newcomers.
        self.sure: Watermark | None = None
        self.lock = asyncio.Lock()


class Rankings:
    """The rankings there are."""

    def __init__(self, database: Database, follower: Follower) -> None:
        self._database = database
        self._follower = follower
        self._kept: dict[str, _Kept] = {}

    def apply(self, events: Sequence[StoredEvent]) -> None:
        for kept in self._kept.values():
            for ranking in (kept.ranking, kept.loading):
                if ranking is None:
                    continue
                was_sure = not ranking.newcomers
                for event in events:
                    ranking.apply(event)
                if was_sure:
                    kept.sure = self._follower.watermark
            if kept.ranking is not None and kept.ranking.worn:
                kept.ranking = None

    def clear(self) -> None:
        self._kept.clear()

    async def top(self, counter: Counter, size: int) -> Top:
        """The resources with the highest values.

        Raises:
            InvalidInput: the counter has no ranking.
            DatabaseUnavailable, DeadlineExceeded: none is held, and it could not be read.
        """
        if not counter.rank_column:
            raise InvalidInput([FieldViolation("counter", "is a counter without a ranking")])
        kept = self._kept.setdefault(counter.name, _Kept(counter))
        try:
            async with asyncio.timeout(remaining_seconds()), kept.lock:
                if kept.ranking is None:
                    ranking, watermark = await self._load(kept)
                    return Top(ranking.top(size), watermark, from_primary=True)
                return Top(kept.ranking.top(size), await self._admit_newcomers(kept, kept.ranking), from_primary=False)
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _load(self, kept: _Kept) -> tuple[Ranking, Watermark]:
        await self._follower.started()
        kept.loading = Ranking(kept.counter)
        try:
            rows, watermark = await self._database.read(partial(store.top, counter=kept.counter, limit=KEPT), PRIMARY)
            kept.loading.fill(rows, KEPT)
            kept.ranking = ranking = kept.loading
            kept.loaded = kept.sure = watermark
        finally:
            kept.loading = None
        return ranking, watermark

    async def _admit_newcomers(self, kept: _Kept, ranking: Ranking) -> Watermark:
        """What the ranking reflects once those who came up are in it. Without the database, those who were in it stay."""
        if ranking.newcomers:
            asked = {key: newcomer.version for key, newcomer in ranking.newcomers.items()}
            try:
                rows, _ = await self._database.read(
                    partial(store.listed, counter=kept.counter, resource_ids=list(asked)), PRIMARY
                )
                ranking.admit(asked, rows)
            except DatabaseUnavailable:
                pass
        current = kept.sure if ranking.newcomers else self._follower.watermark
        assert kept.loaded is not None
        return current if current is not None and current.begun > kept.loaded.begun else kept.loaded
