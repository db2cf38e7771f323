"""Holds end once, also where no process of the claims service looks for them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.data.errors import Halted
from libs.jobs.job import JobContext
from services.claims import jobs
from services.claims.jobs import JOBS
from tests.services.claims.food import EXPIRED, PENDING, Food, food_adds_up, food_service, let_holds_end
from tests.services.operations.working import job_context, job_named
from tests.stored import Connection, everything, halt

EXPIRE = job_named(JOBS, "expire_holds")


@pytest.fixture
async def context(database_url: str) -> AsyncIterator[JobContext]:
    async with job_context(database_url) as context:
        yield context


@pytest.fixture
async def food(database_url: str) -> AsyncIterator[Food]:
    """In this module: the service ends no hold by itself."""
    async with food_service(database_url, claims_expiry_seconds=3600.0) as service:
        yield service


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GRACE", 0.0)


@pytest.mark.usefixtures("no_grace")
async def test_holds_that_are_over_are_ended_and_give_their_portions_back(
    food: Food, context: JobContext, db: Connection
) -> None:
    """G4."""
    post = await food.create(portions=5)
    over, kept = [await food.claim(post.food_post_id, portions=2) for _ in range(2)]
    await let_holds_end(db, over)
    await EXPIRE.work(context, "")
    assert [await food.status(each) for each in (over, kept)] == [EXPIRED, PENDING]
    assert await food.portions(post.food_post_id) == (3, 2, 0)
    before = await everything(db)
    await EXPIRE.work(context, "")
    assert await everything(db) == before
    await food_adds_up(db)


async def test_a_hold_is_left_to_the_service_for_a_while(food: Food, context: JobContext, db: Connection) -> None:
    exchange = await food.claim((await food.create()).food_post_id)
    await let_holds_end(db, exchange)
    await EXPIRE.work(context, "")
    assert await food.status(exchange) == PENDING
    await db.execute("UPDATE claims.exchanges SET hold_expire_time = now() - interval '11 seconds'")
    await EXPIRE.work(context, "")
    assert await food.status(exchange) == EXPIRED


@pytest.mark.usefixtures("no_grace")
async def test_holds_end_once_where_two_workers_and_a_service_look_for_them(
    context: JobContext, database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G4."""
    monkeypatch.setattr(jobs, "AT_ONCE", 20)
    async with (
        food_service(database_url, claims_expiry_seconds=0.005) as food,
        job_context(database_url) as another,
    ):
        post = await food.create(portions=200)
        exchanges = await asyncio.gather(*(food.claim(post.food_post_id) for _ in range(200)))
        await let_holds_end(db, *exchanges)
        await asyncio.gather(EXPIRE.work(context, ""), EXPIRE.work(another, ""))
        await EXPIRE.work(context, "")  # what a worker found nothing left of, another may still be at
        assert await food.portions(post.food_post_id) == (200, 0, 0)
    steps = await db.fetchval("SELECT count(*) FROM claims.exchange_steps WHERE status = 'expired'")
    events = await db.fetchval("SELECT count(*) FROM operations.events WHERE kind = 'exchange.expired'")
    assert (steps, events) == (200, 200)
    await food_adds_up(db)


@pytest.mark.usefixtures("no_grace")
async def test_no_hold_ends_while_writes_are_halted(food: Food, context: JobContext, db: Connection) -> None:
    """G8."""
    exchange = await food.claim((await food.create()).food_post_id)
    await let_holds_end(db, exchange)
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await EXPIRE.work(context, "")
    assert await everything(db) == before
