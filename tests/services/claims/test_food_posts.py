"""CreateFoodPost, GetFoodPost and CloseFoodPost."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import refused
from tests.services.claims.food import (
    AVAILABLE,
    CLOSED,
    CONFIRMED,
    EXHAUSTED,
    Food,
    a_claim,
    a_closing,
    a_creation,
    a_food_post,
    food_adds_up,
    in_hours,
)
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_a_food_post_is_created_as_described_with_all_portions_there(food: Food, db: Connection) -> None:
    described = a_food_post(title="Lentil soup 🍲", portions=7)
    request = a_creation()
    request.food_post.CopyFrom(described)
    answer = await food.stub.CreateFoodPost(request)
    post = answer.food_post
    assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    for field in ("title", "group_id", "sharing_mode", "portions", "pickup_time", "giver_id"):
        assert getattr(post, field) == getattr(described, field), field
    assert (post.portions_remaining, post.portions_held, post.portions_claimed) == (7, 0, 0)
    assert post.status == AVAILABLE
    assert abs(post.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert await food.get(post.food_post_id) == post
    assert await event_kinds(db, post.food_post_id) == ["food_post.created"]
    await food_adds_up(db)


async def test_a_food_post_needs_no_group_and_is_for_the_neighborhood_unless_it_says_otherwise(food: Food) -> None:
    post = await food.create(group_id="", sharing_mode="")
    assert (post.group_id, post.sharing_mode) == ("", "neighborhood")
    assert await food.get(post.food_post_id) == post


async def test_what_the_server_assigns_is_ignored_in_a_creation(food: Food) -> None:
    chosen = new_uuid()
    post = await food.create(
        food_post_id=chosen,
        portions_remaining=99,
        portions_held=98,
        portions_claimed=97,
        status=CLOSED,
        created_time=in_hours(-99),
    )
    assert post.food_post_id != chosen
    assert (post.portions_remaining, post.portions_held, post.portions_claimed, post.status) == (3, 0, 0, AVAILABLE)
    assert post.created_time.ToDatetime(UTC) > datetime.now(UTC) - timedelta(hours=1)


async def test_a_post_that_is_not_there_is_not_found(food: Food, db: Connection) -> None:
    post, missing = await food.create(), new_uuid()
    before = await everything(db)
    post.food_post_id = missing
    for call in (food.get(missing), food.close(post), food.claim(missing)):
        assert (await refused(call)).said == ("NOT_FOUND", "FOOD_POST_NOT_FOUND")
    assert await everything(db) == before


@pytest.mark.parametrize("rpc", ["CreateFoodPost", "CloseFoodPost"])
async def test_repeating_a_request_many_times_at_once_answers_the_first_answer_g5(
    food: Food, db: Connection, rpc: str
) -> None:
    """G5: with the portions of then, whatever happened since."""
    post = await food.create()
    request = a_creation() if rpc == "CreateFoodPost" else a_closing(post)
    answers = await asyncio.gather(*(getattr(food.stub, rpc)(request) for _ in range(10)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 9]
    first = answers[0]
    if rpc == "CreateFoodPost":
        await food.claim(first.food_post.food_post_id)
        await food.close(first.food_post)
    before = await everything(db)
    again = await getattr(food.stub, rpc)(request)
    assert again.replayed and first.commit_token
    assert {answer.commit_token for answer in (*answers, again)} == {first.commit_token}
    assert all(answer.food_post == first.food_post for answer in (*answers, again))
    assert await everything(db) == before


async def test_a_request_id_belongs_to_one_request(food: Food, db: Connection) -> None:
    created = a_creation()
    post = (await food.stub.CreateFoodPost(created)).food_post
    other = await food.create()
    closed = a_closing(post)
    await food.stub.CloseFoodPost(closed)
    before = await everything(db)
    another_title = a_creation(created.request_id)
    another_method, another_post = a_closing(other), a_closing(other)
    another_method.request_id, another_post.request_id = created.request_id, closed.request_id
    for call in (
        food.stub.CreateFoodPost(another_title),
        food.stub.CreateFoodPost(a_creation(closed.request_id)),
        food.stub.CloseFoodPost(another_method),
        food.stub.CloseFoodPost(another_post),
    ):
        answer = await refused(call)
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_a_closed_post_takes_no_claims_and_its_exchanges_go_on(food: Food, db: Connection) -> None:
    post = await food.create(portions=5)
    pending, confirmed = [await food.claim(post.food_post_id) for _ in range(2)]
    await food.confirm(confirmed)
    answer = await food.close(post)
    assert (answer.food_post.status, answer.replayed, bool(answer.commit_token)) == (CLOSED, False, True)
    assert (answer.food_post.portions_remaining, answer.food_post.portions_held) == (3, 1)
    assert await food.get(post.food_post_id) == answer.food_post
    assert (await event_kinds(db, post.food_post_id))[-1] == "food_post.closed"
    before = await everything(db)
    assert (await refused(food.claim(post.food_post_id))).said == ("FAILED_PRECONDITION", "FOOD_POST_CLOSED")
    assert await everything(db) == before
    assert (await food.confirm(pending)).status == CONFIRMED
    await food.complete(pending)
    await food.cancel(confirmed)
    assert await food.portions(post.food_post_id) == (4, 0, 1)
    assert (await food.get(post.food_post_id)).status == CLOSED, "portions that come back do not open it again"
    await food_adds_up(db)


async def test_a_post_is_closed_once(food: Food, db: Connection) -> None:
    post = await food.create()
    await food.close(post)
    before = await everything(db)
    assert (await refused(food.close(post))).said == ("FAILED_PRECONDITION", "FOOD_POST_CLOSED")
    assert await everything(db) == before


async def test_only_the_giver_closes_a_post(food: Food, db: Connection) -> None:
    post = await food.create()
    exchange = await food.claim(post.food_post_id)
    before = await everything(db)
    for stranger in (new_uuid(), exchange.receiver_id):
        answer = await refused(food.stub.CloseFoodPost(a_closing(post, stranger)))
        assert answer.said == ("PERMISSION_DENIED", "NOT_A_PARTY")
    assert await everything(db) == before
    assert (await food.stub.CloseFoodPost(a_closing(post, post.giver_id.upper()))).food_post.status == CLOSED


async def test_a_claim_is_answered_again_after_the_close_g5(food: Food) -> None:
    """G5."""
    post = await food.create()
    request = a_claim(post.food_post_id)
    first = await food.stub.ClaimFood(request)
    await food.close(post)
    again = await food.stub.ClaimFood(request)
    assert (again.replayed, again.exchange, again.commit_token) == (True, first.exchange, first.commit_token)


async def test_the_status_follows_the_portions(food: Food) -> None:
    post = await food.create(portions=2)
    one = await food.claim(post.food_post_id)
    assert (await food.get(post.food_post_id)).status == AVAILABLE
    other = await food.claim(post.food_post_id)
    assert (await food.get(post.food_post_id)).status == EXHAUSTED
    await food.confirm(one)
    await food.complete(one)
    assert (await food.get(post.food_post_id)).status == EXHAUSTED
    await food.cancel(other)
    assert (await food.get(post.food_post_id)).status == AVAILABLE
