"""ClaimFood: no portion is promised twice, and nobody has two claims of one post at a time."""

import asyncio
from datetime import UTC, timedelta

import pytest

from tests.servers import refused
from tests.services.claims.food import (
    PENDING,
    Food,
    a_claim,
    food_adds_up,
    food_service,
    let_holds_end,
)
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_a_claim_holds_portions_for_the_time_that_is_set(database_url: str, db: Connection) -> None:
    """G1, G2: rows and counters are there when the answer is."""
    async with food_service(database_url, claims_hold_seconds=1234.5) as food:
        post, user = await food.create(portions=5), new_uuid()
        answer = await food.stub.ClaimFood(a_claim(post.food_post_id, user, 3))
        exchange = answer.exchange
        assert (answer.replayed, bool(answer.commit_token)) == (False, True)
        assert (exchange.food_post_id, exchange.giver_id) == (post.food_post_id, post.giver_id)
        assert (exchange.receiver_id, exchange.portions, exchange.status) == (user, 3, PENDING)
        created = exchange.created_time.ToDatetime(UTC)
        assert exchange.hold_expire_time.ToDatetime(UTC) - created == timedelta(seconds=1234.5)
        assert exchange.status_time == exchange.created_time
        assert await food.exchange(exchange.exchange_id) == exchange
        assert await food.portions(post.food_post_id) == (2, 3, 0)
    assert await event_kinds(db, exchange.exchange_id) == ["exchange.pending"]
    assert (await event_kinds(db, post.food_post_id)).count("food_post.counted") == 1
    await food_adds_up(db)


async def test_more_than_what_is_left_is_refused_and_says_what_is_left(food: Food, db: Connection) -> None:
    """G4."""
    post = await food.create(portions=5)
    await food.claim(post.food_post_id, portions=3)
    before = await everything(db)
    for portions in (3, 2**31 - 1):
        answer = await refused(food.claim(post.food_post_id, portions=portions))
        assert answer.said == ("FAILED_PRECONDITION", "OUT_OF_STOCK")
        assert answer.metadata == {"remaining": "2"}
    assert await everything(db) == before
    await food.claim(post.food_post_id, portions=2)
    answer = await refused(food.claim(post.food_post_id))
    assert (answer.reason, answer.metadata) == ("OUT_OF_STOCK", {"remaining": "0"})


async def test_the_giver_cannot_claim_what_is_given(food: Food, db: Connection) -> None:
    post = await food.create()
    before = await everything(db)
    for giver in (post.giver_id, post.giver_id.upper()):
        answer = await refused(food.claim(post.food_post_id, giver))
        assert answer.said == ("FAILED_PRECONDITION", "OWN_FOOD_POST")
    assert await everything(db) == before


@pytest.mark.parametrize("status", ["pending", "confirmed"])
async def test_a_user_has_one_active_exchange_of_a_post(food: Food, db: Connection, status: str) -> None:
    post, user = await food.create(), new_uuid()
    first = await food.claim(post.food_post_id, user)
    if status == "confirmed":
        await food.confirm(first)
    before = await everything(db)
    answer = await refused(food.claim(post.food_post_id, user.upper()))
    assert answer.said == ("ALREADY_EXISTS", "ALREADY_CLAIMED")
    assert answer.metadata == {"exchange_id": first.exchange_id, "status": status}
    assert await everything(db) == before
    assert (await food.claim((await food.create()).food_post_id, user)).status == PENDING, "another post is another"


@pytest.mark.parametrize("how", ["cancelled", "completed", "expired"])
async def test_a_user_claims_again_when_the_first_exchange_has_ended(
    database_url: str, db: Connection, how: str
) -> None:
    """G2: a hold that ended by itself makes room in the transaction of the claim."""
    async with food_service(database_url) as food:
        post, user = await food.create(portions=2), new_uuid()
        first = await food.claim(post.food_post_id, user)
        if how == "cancelled":
            await food.cancel(first)
        elif how == "completed":
            await food.confirm(first)
            await food.complete(first)
        else:
            await let_holds_end(db, first)
        second = await food.claim(post.food_post_id, user)
        assert second.exchange_id != first.exchange_id
        assert second.status == PENDING
        assert await food.portions(post.food_post_id) == ((0, 1, 1) if how == "completed" else (1, 1, 0))
    await food_adds_up(db)


async def test_repeating_a_claim_answers_the_first_answer_whatever_became_of_it_g5(food: Food, db: Connection) -> None:
    """G5: pending, as it was; also when the user has claimed again since."""
    post, user = await food.create(), new_uuid()
    request = a_claim(post.food_post_id, user)
    first = await food.stub.ClaimFood(request)

    async def is_replayed() -> None:
        before = await everything(db)
        again = await food.stub.ClaimFood(request)
        assert again.replayed
        again.replayed = False
        assert again == first
        assert await everything(db) == before

    await is_replayed()
    await food.confirm(first.exchange)
    await is_replayed()
    await food.complete(first.exchange)
    await is_replayed()
    await food.claim(post.food_post_id, user)
    await is_replayed()


async def test_one_claim_sent_many_times_at_once_is_one_claim_g5(food: Food, db: Connection) -> None:
    """G5."""
    post = await food.create(portions=50)
    request = a_claim(post.food_post_id, portions=2)
    answers = await asyncio.gather(*(food.stub.ClaimFood(request) for _ in range(40)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 39]
    assert len({(a.exchange.exchange_id, a.commit_token) for a in answers}) == 1
    assert await food.portions(post.food_post_id) == (48, 2, 0)
    assert await db.fetchval("SELECT count(*) FROM claims.exchanges") == 1
    await food_adds_up(db)


async def test_of_many_claims_of_one_user_at_once_exactly_one_holds(food: Food, db: Connection) -> None:
    post, user = await food.create(portions=50), new_uuid()
    outcomes = await asyncio.gather(*(food.claim(post.food_post_id, user) for _ in range(10)), return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert await food.portions(post.food_post_id) == (49, 1, 0)
    await food_adds_up(db)


@pytest.mark.parametrize(("people", "portions"), [(50, 5), (200, 20)])
async def test_exactly_as_many_claim_as_there_are_portions(
    food: Food, db: Connection, people: int, portions: int
) -> None:
    """G4: never more, and never fewer while people ask."""
    post = await food.create(portions=portions)
    outcomes = await asyncio.gather(*(food.claim(post.food_post_id) for _ in range(people)), return_exceptions=True)
    held = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(held) == len({exchange.receiver_id for exchange in held}) == portions
    assert await food.portions(post.food_post_id) == (0, portions, 0)
    assert (await refused(food.claim(post.food_post_id))).reason == "OUT_OF_STOCK"
    await food_adds_up(db)


async def test_claims_of_many_posts_in_one_moment_are_told_apart(food: Food, db: Connection) -> None:
    posts = [await food.create(portions=2) for _ in range(5)]
    users = [new_uuid() for _ in range(3)]
    await asyncio.gather(
        *(food.claim(post.food_post_id, user) for user in users for post in posts), return_exceptions=True
    )
    for post in posts:
        assert await food.portions(post.food_post_id) == (0, 2, 0)
    await food_adds_up(db)


async def test_a_post_may_have_as_many_portions_as_an_integer_holds(food: Food, db: Connection) -> None:
    most = 2**31 - 1
    post = await food.create(portions=most)
    exchange = await food.claim(post.food_post_id, portions=most)
    assert exchange.portions == most
    assert await food.portions(post.food_post_id) == (0, most, 0)
    await food.cancel(exchange)
    assert await food.portions(post.food_post_id) == (most, 0, 0)
    await food_adds_up(db)
