"""One instance's claims without a server, so that what they ask of the database can be seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

from libs.data.consistency import ANY, Consistency
from libs.data.database import Committed, Database
from libs.data.errors import DatabaseUnavailable, TallyError
from libs.data.events import read_page, start_cursor
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Snapshot, Transaction
from services.claims.coupons import store_coupons
from services.claims.coupons.claiming import Claiming
from services.claims.coupons.model import ClaimCoupon, Claimed, Joined, JoinWaitlist
from services.claims.coupons.sold_out import SoldOut
from services.claims.coupons.store_reads import emptied
from services.claims.settings import ClaimsSettings
from tests.eventually import becomes_true

R = TypeVar("R")


class WatchedDatabase(Database):
    """Counts what it is asked.

    Args:
        asked: reads and writes, other than looks at the event stream.
        readings: of those, reads of who has a coupon that is sold out.
        failures: how many of the next readings are to fail.
        gate: readings are told what they found only when it is open.
    """

    asked = 0
    readings = 0
    failures = 0

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, work: Callable[[Transaction], Awaitable[R]], *, while_halted: bool = False) -> Committed[R]:
        self.asked += 1
        return await super().write(work, while_halted=while_halted)

    async def read(
        self, work: Callable[[Snapshot], Awaitable[R]], consistency: Consistency = ANY, *, repeatable: bool = False
    ) -> R:
        called = work.func if isinstance(work, partial) else work
        self.asked += called not in (start_cursor, read_page)
        if called is not emptied:
            return await super().read(work, consistency, repeatable=repeatable)
        self.readings += 1
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable
        found = await super().read(work, consistency, repeatable=repeatable)
        await self.gate.wait()
        return found


class Desk:
    """Where coupons are claimed; short words for what tests do there."""

    def __init__(self, database: WatchedDatabase, sold_out: SoldOut, claiming: Claiming) -> None:
        self.database = database
        self.sold_out = sold_out
        self.claiming = claiming

    async def create(self, amount: int = 1) -> str:
        name = f"Loaf of bread {uuid4()}"
        await self.database.write(lambda tx: store_coupons.create(tx, name, amount, uuid4()))
        return name

    async def restock(self, name: str, amount: int = 1) -> None:
        await self.database.write(lambda tx: store_coupons.restock(tx, name, amount, uuid4()))

    async def claim(self, name: str, user_id: UUID | None = None, request_id: UUID | None = None) -> Claimed:
        command = ClaimCoupon(name, user_id or uuid4(), request_id or uuid4())
        return (await self.claiming.claim(command)).value

    async def join(self, name: str, user_id: UUID) -> Joined:
        return (await self.claiming.join(JoinWaitlist(name, user_id, uuid4()))).value

    async def outcome(self, name: str, user_id: UUID | None = None) -> str:
        """The reason a claim was refused for; `done` if it was not."""
        try:
            await self.claim(name, user_id)
        except TallyError as error:
            return error.reason
        return "done"

    async def sell_out(self, amount: int = 1) -> tuple[str, list[UUID]]:
        """A coupon that was claimed as often as it could be, and by whom, with nobody refused."""
        name, users = await self.create(amount), [uuid4() for _ in range(amount)]
        await asyncio.gather(*(self.claim(name, user) for user in users))
        return name, users

    async def remembers(self, name: str) -> None:
        """Waits until memory refuses claims of it. At any moment it may be too far behind for that."""

        async def refuses() -> bool:
            self.sold_out.note(name)  # as each refused claim does
            return self.refuses(name)

        await becomes_true(refuses)

    def refuses(self, name: str, user_id: UUID | None = None) -> bool:
        """Whether memory does."""
        return self.sold_out.refuses(name, user_id or uuid4())


@asynccontextmanager
async def a_desk(database_url: str, **settings: object) -> AsyncIterator[Desk]:
    made = ClaimsSettings(**settings)  # type: ignore[arg-type]
    database_settings = DatabaseSettings(database_url=database_url, database_role="tally_claims")
    async with WatchedDatabase.open(database_settings) as database:
        assert isinstance(database, WatchedDatabase)
        sold_out = SoldOut(
            database, max_coupons=made.claims_sold_out_coupons, max_claimants=made.claims_sold_out_claimants
        )
        claiming = Claiming(database, sold_out, made)
        following = asyncio.create_task(sold_out.run())
        try:
            yield Desk(database, sold_out, claiming)
        finally:
            await claiming.drain()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
