"""Takes up what happens elsewhere. Every process of the service does it, and takes whatever partition is behind and free.

What a page of events does and how far the stream was read commit together: when a consumer dies, a page was done or not, and
the next one goes on from there.
"""

import asyncio
import random
import time
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import Halted, Internal, TallyError
from libs.telemetry.instruments import counter, gauge_by
from services.reputation.ledger.errors import EventAlreadyRecorded
from services.reputation.ledger.rules import Outcome
from services.reputation.settings import ReputationSettings
from services.reputation.stream import store

log = structlog.get_logger(__name__)

HALTED_PAUSE = 1.0
TROUBLE_PAUSE = 0.5
# Seconds a checkpoint stays where it is while nothing comes that concerns reputation. What it has not passed is not pruned.
RESTS = 10.0

EFFECTS = counter(
    "tally.reputation.stream_effects",
    "{effect}",
    "What events of the stream were in ledgers, by outcome: recorded, known (it was there), refused, skipped (not understood).",
)
_consumers: "weakref.WeakSet[Consumer]" = weakref.WeakSet()


def _lags() -> Mapping[str, float]:
    lags: dict[str, float] = {}
    for consumer in list(_consumers):
        lags |= {str(n): lag for n, lag in consumer.lag_seconds.items()}
    return lags


gauge_by(
    "tally.reputation.stream_lag",
    "s",
    "How long ago this process knew a partition of the event stream to have had all its effects.",
    "partition",
    _lags,
)


class Consumer:
    """A background task of the reputation service.

    Args:
        poll_seconds: between two looks at the stream while nothing comes.
        page_events: events of one transaction.
    """

    def __init__(self, database: Database, *, poll_seconds: float, page_events: int) -> None:
        self._database = database
        self._poll = poll_seconds
        self._page_events = page_events
        self._halted = False
        # By partition: since when, on this process's clock, something waits there.
        self._behind_since: dict[int, float] = {}
        _consumers.add(self)

    @property
    def lag_seconds(self) -> dict[int, float]:
        """Of each partition; it grows while nothing is heard of the stream."""
        now = time.monotonic()
        return {n: max(0.0, now - since) for n, since in self._behind_since.copy().items()}

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again, from where the stream was left."""
        await asyncio.create_task(self._run(), context=Context())

    async def _run(self) -> None:
        while True:
            try:
                taken_up = await self.round()
                pause = 0.0 if taken_up else self._poll
                self._halted = False
            except Halted:
                if not self._halted:
                    log.info("stream_waits_for_resume")
                self._halted, pause = True, HALTED_PAUSE
            except TallyError as error:
                log.warning("stream_postponed", reason=error.reason)
                pause = TROUBLE_PAUSE
            except Exception:
                log.exception("stream_stuck")
                pause = TROUBLE_PAUSE
            # Not all at the same moments.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311

    async def round(self) -> int:
        """Takes up a page of each partition that is behind and free; how many events that were.

        Raises:
            TallyError: of the page at work nothing was done, or (OutcomeUnknown) perhaps all; the next round finds out.
            Internal: a defect keeps a partition where it is; what could be done in the others was.
        """
        began = time.monotonic()
        seen = await self._database.read(store.look, PRIMARY)
        if len(seen.places) < len(store.PARTITIONS):
            await self._database.write(store.begin)
            seen = await self._database.read(store.look, PRIMARY)
        self._behind_since = {place.partition: began - place.waiting for place in seen.places}
        if lost := [place for place in seen.places if place.cursor.xid >= seen.horizon]:
            log.error("event_stream_went_back", cursor=lost[0].cursor.xid, horizon=seen.horizon)
            await self._database.write(partial(store.move, places=lost, to=seen.end))
            return 0
        behind = [p for p in seen.places if p.next_xid is not None and p.next_xid < seen.horizon]
        random.shuffle(behind)
        taken_up, defect = 0, None
        for place in behind:
            try:
                taken_up += await self._take_up(place, seen)
            except Internal as error:
                log.error("stream_stuck", partition=place.partition, after=store.written(place.cursor))
                defect = error
        resting = [p for p in seen.places if p.next_xid is None and (p.resting > RESTS or p.stored_lag)]
        if resting:
            await self._database.write(partial(store.move, places=resting, to=seen.end))
        if defect is not None:
            raise defect
        return taken_up

    async def _take_up(self, place: store.Place, seen: store.Look) -> int:
        page = await self._database.read(
            partial(store.next_page, place=place, seen=seen, limit=self._page_events), PRIMARY
        )
        outcomes = (await self._database.write(partial(store.take_up, page=page))).value
        if outcomes is None:
            return 0
        self._tell(page, outcomes)
        return page.events

    def _tell(self, page: store.Page, outcomes: Sequence[Outcome]) -> None:
        counts = {"skipped": page.skipped, "known": 0, "refused": 0, "recorded": 0}
        for command, outcome in zip(page.commands, outcomes, strict=True):
            if isinstance(outcome, EventAlreadyRecorded):
                counts["known"] += 1
            elif isinstance(outcome, TallyError):
                counts["refused"] += 1
                log.error("stream_effect_refused", stream_id=command.stream_id, reason=outcome.reason)
            else:
                counts["recorded"] += 1
        for outcome_name, n in counts.items():
            if n:
                EFFECTS.add(n, {"outcome": outcome_name})


@asynccontextmanager
async def consuming(database: Database, settings: ReputationSettings) -> AsyncIterator[None]:
    """Takes up the stream while the context is open, unless the settings say that others do."""
    if not settings.reputation_consume:
        yield
        return
    consumer = Consumer(
        database, poll_seconds=settings.reputation_poll_seconds, page_events=settings.reputation_page_events
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
