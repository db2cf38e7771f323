"""What the memory of sold-out coupons holds, and what it forgets."""

import pytest
from structlog.testing import capture_logs

from services.claims.coupons import sold_out
from tests.eventually import becomes_true
from tests.services.claims.desk import Desk, a_desk
from tests.stored import Connection


async def test_of_too_many_coupons_the_newest_are_remembered(database_url: str) -> None:
    async with a_desk(database_url, claims_sold_out_coupons=2) as desk:
        names = [(await desk.sell_out())[0] for _ in range(4)]
        for name in names:
            await desk.remembers(name)

        async def all_looked_at() -> bool:
            return [desk.refuses(name) for name in names] == [False, False, True, True]

        await becomes_true(all_looked_at)


async def test_of_coupons_with_too_many_claimants_together_the_newest_are_remembered(database_url: str) -> None:
    async with a_desk(database_url, claims_sold_out_claimants=5) as desk:
        names = [(await desk.sell_out(claimants))[0] for claimants in (1, 2, 2, 3)]
        for name in names[:3]:
            await desk.remembers(name)
        assert desk.database.readings == 3
        await desk.remembers(names[3])

        async def the_newest() -> bool:
            return [desk.refuses(name) for name in names] == [False, False, True, True]

        await becomes_true(the_newest)


async def is_read_at_least(desk: Desk, name: str, times: int) -> None:
    """Waits until refusals have led to so many readings: to more than one only if what was read is not remembered."""

    async def read() -> bool:
        assert await desk.outcome(name) == "OUT_OF_STOCK"
        return desk.database.readings >= times

    await becomes_true(read)


async def test_a_coupon_with_more_claimants_than_there_is_room_for_is_left_to_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold_out, "PAUSE_SECONDS", 0.0)
    async with a_desk(database_url, claims_sold_out_claimants=3) as desk:
        (fits, _), (large, _) = await desk.sell_out(3), await desk.sell_out(4)
        await is_read_at_least(desk, large, 3)
        await desk.remembers(fits)
        assert not desk.refuses(large)


async def test_memory_can_be_switched_off(database_url: str) -> None:
    """Then nothing is read for it either; what a memory of one coupon reads shows that this one would have been."""
    async with a_desk(database_url, claims_sold_out_coupons=1) as desk:
        name, _ = await desk.sell_out()
        await is_read_at_least(desk, name, 1)
    async with a_desk(database_url, claims_sold_out_coupons=0) as desk:
        for _ in range(20):
            assert await desk.outcome(name) == "OUT_OF_STOCK"
            assert not desk.refuses(name)
        assert desk.database.readings == 0


async def test_what_cannot_be_remembered_is_not_read_for_every_refusal(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rush for what many have would else read all of them again and again."""
    monkeypatch.setattr(sold_out, "PAUSE_SECONDS", 3600.0)
    async with a_desk(database_url, claims_sold_out_claimants=3) as desk:
        (large, _), (unlucky, _), (fits, _) = await desk.sell_out(4), await desk.sell_out(), await desk.sell_out(3)
        await is_read_at_least(desk, large, 1)
        desk.database.failures = 1
        await is_read_at_least(desk, unlucky, 2)
        await desk.remembers(fits)
        for _ in range(20):
            assert await desk.outcome(large) == await desk.outcome(unlucky) == "OUT_OF_STOCK"
        assert desk.database.readings == 3


async def test_a_reading_that_failed_is_tried_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sold_out, "PAUSE_SECONDS", 0.0)
    async with a_desk(database_url) as desk:
        name, _ = await desk.sell_out()
        desk.database.failures = 2
        await is_read_at_least(desk, name, 3)
        await desk.remembers(name)
        assert (desk.database.readings, desk.database.failures) == (3, 0)


async def test_stock_that_came_back_while_it_was_being_read_makes_the_reading_void(database_url: str) -> None:
    async with a_desk(database_url) as desk, a_desk(database_url) as other:
        (name, _), (known, _), (gone, _) = [await desk.sell_out() for _ in range(3)]
        await desk.remembers(known)
        await desk.remembers(gone)
        desk.database.gate.clear()
        await is_read_at_least(desk, name, 3)
        await other.restock(name)
        await other.restock(known)

        async def the_news_arrived() -> bool:
            return desk.refuses(gone) and not desk.refuses(known)

        await becomes_true(the_news_arrived)
        desk.database.gate.set()
        marker, _ = await desk.sell_out()
        await desk.remembers(marker)
        assert not desk.refuses(name)
        assert await desk.outcome(name) == "done"


async def test_in_another_database_nothing_is_known(database_url: str, db: Connection) -> None:
    """One that was restored, or made anew, has a past of its own that no event tells of."""
    async with a_desk(database_url) as desk:
        name, _ = await desk.sell_out()
        await desk.remembers(name)
        await db.execute("UPDATE claims.coupons SET amount = amount + 5, remaining_amount = 5")
        await desk.remembers(name)
        follower = desk.sold_out._follower
        with capture_logs() as logs:

            async def went_back() -> bool:
                if follower._cursor is not None:  # a look that is on its way may put it right unnoticed
                    follower._cursor = follower._cursor._replace(xid=2**40)
                await follower.catch_up()
                return any(entry["event"] == "event_stream_went_back" for entry in logs)

            await becomes_true(went_back)
        marker, _ = await desk.sell_out()
        await desk.remembers(marker)
        assert not desk.refuses(name)
        assert [await desk.outcome(name) for _ in range(6)] == [*["done"] * 5, "OUT_OF_STOCK"]
