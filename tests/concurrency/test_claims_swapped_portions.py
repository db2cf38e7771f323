"""Portions that come back and go out again in one transaction move no counter, and are noticed all the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.claims.exchanges import store, store_posts
from services.claims.exchanges.errors import ExchangeEnded, ExchangeNotPending
from services.claims.exchanges.model import Advance, Advanced, ClaimFood, Command, FoodPost, NewFoodPost, Status
from tests.data.rows import waiting_for_locks

GIVER, ADA, GRACE = uuid4(), uuid4(), uuid4()
HOLD = timedelta(minutes=15)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        yield database


@pytest.fixture
async def food_post_id(database: Database) -> UUID:
    """Of a post with three portions."""
    new = NewFoodPost("Soup", None, "community", 3, datetime.now(UTC) + timedelta(hours=1), GIVER)
    post = (await database.write(lambda tx: store_posts.create(tx, new, uuid4()))).value
    assert isinstance(post, FoodPost)
    return post.food_post_id


async def decided(database: Database, *commands: Command) -> Sequence[object]:
    """The outcomes of commands that share a transaction."""
    return (await database.write(lambda tx: store.claim_and_advance(tx, commands, HOLD))).value


def claimed(food_post_id: UUID, user_id: UUID) -> ClaimFood:
    """All of its portions."""
    return ClaimFood(food_post_id, uuid4(), user_id, 3, uuid4())


async def test_a_transaction_that_waited_sees_what_was_swapped_before_its_turn(
    database: Database, database_url: str, food_post_id: UUID
) -> None:
    """G2, G4: one transaction cancels an exchange and gives its portions to somebody else; another, that has looked before
    and waited since, must not act on the exchanges as they were."""
    first = claimed(food_post_id, ADA)
    await decided(database, first)
    second = claimed(food_post_id, GRACE)
    swap: list[Command] = [Advance(first.exchange_id, GIVER, uuid4(), Status.CANCELLED), second]
    late = Advance(first.exchange_id, ADA, uuid4(), Status.CONFIRMED)

    outsider = await asyncpg.connect(database_url)
    try:
        async with outsider.transaction():
            await outsider.execute("SELECT FROM claims.food_posts WHERE food_post_id = $1 FOR UPDATE", food_post_id)
            swapping = asyncio.create_task(decided(database, *swap))
            await waiting_for_locks(database, 1)
            confirming = asyncio.create_task(decided(database, late))
            await waiting_for_locks(database, 2)
        assert all(isinstance(outcome, Advanced) for outcome in await swapping)
        (outcome,) = await confirming
        assert isinstance(outcome, (ExchangeNotPending, ExchangeEnded))
        portions = await outsider.fetchrow("SELECT portions_held, portions_claimed, version FROM claims.food_posts")
        assert portions is not None and tuple(portions) == (3, 0, 2)
        versions = await outsider.fetch(
            "SELECT version FROM operations.events WHERE kind LIKE 'exchange.%' ORDER BY xid, position"
        )
        assert [row[0] for row in versions] == [1, 2, 2]
    finally:
        await outsider.close()
