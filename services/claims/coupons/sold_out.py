"""Which coupons are sold out, in memory, so that a rush for what is gone costs the database nothing.

Events keep it right, and it is asked only while everything committed more than a fifth of a second ago is known to be in it:
stock that came back is never denied for longer. Whoever may have a claim already is sent to the database, which knows what
to answer them.
"""

import asyncio
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import Context
from functools import partial
from uuid import UUID

import structlog

from libs.data.catalog.claims import COUPON_CLAIMS, COUPON_REMAINING
from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import TallyError
from libs.data.events import StoredEvent
from libs.data.follower import Follower
from libs.telemetry.instruments import counter
from services.claims.coupons.store_reads import Emptied, emptied, half

log = structlog.get_logger(__name__)

# Seconds that memory may be behind: what is left of 250 ms after the time it takes to ask.
MOST_BEHIND = 0.2
POLL_SECONDS = 0.05
# Before a coupon that could not be remembered is read again: too many have it, or the database was slow.
PAUSE_SECONDS = 5.0

REFUSALS = counter(
    "tally.claims.refused_from_memory", "{claim}", "Claims of sold-out coupons refused without the database."
)


class SoldOut:
    """At most `max_coupons` coupons with `max_claimants` claimants together; more are left to the database."""

    def __init__(self, database: Database, *, max_coupons: int, max_claimants: int) -> None:
        self._database = database
        self._max_coupons = max_coupons
        self._max_claimants = max_claimants
        self._known: OrderedDict[str, Emptied] = OrderedDict()
        self._claimants = 0
        # Being read: the newest that events told of them meanwhile, if that makes the reading worthless.
        self._reading: dict[str, int] = {}
        self._readings: set[asyncio.Task[None]] = set()
        self._not_before: dict[str, float] = {}
        self._follower = Follower(database, self._apply, self._clear, fast=POLL_SECONDS, slow=2 * POLL_SECONDS)

    async def run(self) -> None:
        """Follows the stream until cancelled."""
        try:
            await self._follower.run()
        finally:
            for reading in self._readings:
                reading.cancel()

    def refuses(self, coupon_name: str, user_id: UUID) -> bool:
        """Whether nothing is left for this user, for certain; False if only the database can tell."""
        known = self._known.get(coupon_name)
        if known is None or not self._up_to_date():
            return False
        wanted = half(user_id)
        place = bisect_left(known.claimants, wanted)
        if place < len(known.claimants) and known.claimants[place] == wanted:
            return False
        REFUSALS.add(1)
        return True

    def note(self, coupon_name: str) -> None:
        """A transaction found nothing left: who has it all is read, once, and remembered."""
        if not self._max_coupons or coupon_name in self._known or coupon_name in self._reading:
            return
        if self._not_before.get(coupon_name, 0.0) <= time.monotonic():
            self._reading[coupon_name] = -1
            reading = asyncio.get_running_loop().create_task(self._read(coupon_name), context=Context())
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    def _up_to_date(self) -> bool:
        watermark = self._follower.watermark
        return watermark is not None and time.monotonic() - watermark.begun <= MOST_BEHIND

    async def _read(self, name: str) -> None:
        try:
            await self._follower.started()  # what commits after the reading arrives as an event
            found = await self._database.read(partial(emptied, name=name, most_claimants=self._max_claimants), PRIMARY)
            if found is not None and not found.complete:
                self._postpone(name)
            elif found is not None and self._reading[name] <= found.version:
                self._remember(name, found)
        except TallyError as error:
            log.info("sold_out_not_read", coupon_name=name, reason=error.reason)
            self._postpone(name)
        finally:
            self._reading.pop(name, None)

    def _postpone(self, name: str) -> None:
        if len(self._not_before) >= self._max_coupons:
            self._not_before.clear()
        self._not_before[name] = time.monotonic() + PAUSE_SECONDS

    def _remember(self, name: str, found: Emptied) -> None:
        self._known[name] = found
        self._claimants += len(found.claimants)
        while len(self._known) > self._max_coupons or self._claimants > self._max_claimants:
            self._forget(next(iter(self._known)))

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        if known is not None:
            self._claimants -= len(known.claimants)

    def _apply(self, events: Sequence[StoredEvent]) -> None:
        for event in events:
            name = event.aggregate_id
            counters = event.payload.get("counters")
            if not counters or not event.kind.startswith("coupon."):
                continue
            if name in self._reading:
                self._reading[name] = max(self._reading[name], event.version)
            known = self._known.get(name)
            if known is not None and event.version > known.version and _changes(known, name, counters):
                self._forget(name)

    def _clear(self) -> None:
        self._known.clear()
        self._claimants = 0
        for name in self._reading:
            self._reading[name] = 2**63


def _changes(known: Emptied, name: str, counters: dict[str, dict[str, int]]) -> bool:
    """Whether a newer version is not sold out, or has other claimants."""
    remaining = counters.get(COUPON_REMAINING.name, {}).get(name, 0)
    claims = counters.get(COUPON_CLAIMS.name, {}).get(name, known.claim_count)
    return remaining > 0 or claims != known.claim_count
