"""RateExchange: of a completed exchange, once a side."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import refused
from tests.services.claims.food import Food, a_rating, food_service, let_holds_end
from tests.services.petition.people import new_uuid
from tests.stored import Connection, events_of, everything


async def test_each_side_rates_the_other(food: Food, db: Connection) -> None:
    exchange = await food.completed()
    sides = (exchange.giver_id, exchange.receiver_id)
    for rater, rated, stars in ((*sides, 1), (*sides[::-1], 5)):
        answer = await food.stub.RateExchange(a_rating(exchange, rater.upper(), stars, "Thank you!\nSee you."))
        rating = answer.rating
        assert (rating.exchange_id, rating.rater_id, rating.rated_id) == (exchange.exchange_id, rater, rated)
        assert (rating.stars, rating.comment) == (stars, "Thank you!\nSee you.")
        assert abs(rating.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
        assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    stored = await db.fetch("SELECT rater_id::text, rated_id::text, stars FROM claims.ratings ORDER BY stars")
    assert [tuple(row) for row in stored] == [(*sides, 1), (*sides[::-1], 5)]
    told = [payload for kind, payload in await events_of(db, exchange.exchange_id) if kind == "exchange.rated"]
    group_id = (await food.get(exchange.food_post_id)).group_id
    assert told == [
        {"rater_id": rater, "rated_id": rated, "rated_side": side, "stars": stars, "group_id": group_id}
        for rater, rated, side, stars in ((*sides, "receiver", 1), (*sides[::-1], "giver", 5))
    ]


async def test_a_side_rates_once_and_is_told_what_it_said(food: Food, db: Connection) -> None:
    exchange = await food.completed()
    await food.stub.RateExchange(a_rating(exchange, stars=2))
    before = await everything(db)
    for stars in (2, 5):
        answer = await refused(food.stub.RateExchange(a_rating(exchange, stars=stars)))
        assert (*answer.said, answer.metadata) == ("ALREADY_EXISTS", "ALREADY_RATED", {"stars": "2"})
    assert await everything(db) == before


async def test_repeating_a_rating_answers_the_first_answer_g5(food: Food, db: Connection) -> None:
    """G5."""
    exchange = await food.completed()
    request = a_rating(exchange, stars=4)
    answers = await asyncio.gather(*(food.stub.RateExchange(request) for _ in range(10)))
    before = await everything(db)
    answers.append(await food.stub.RateExchange(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
    assert len({(a.rating.SerializeToString(), a.commit_token) for a in answers}) == 1
    assert await everything(db) == before


async def test_a_repeated_rating_that_says_something_else_is_refused(food: Food, db: Connection) -> None:
    exchange = await food.completed()
    request = a_rating(exchange, stars=4, comment="Fine.")
    await food.stub.RateExchange(request)
    before = await everything(db)
    for field, value in (("stars", 5), ("comment", "Fine!"), ("comment", "")):
        other = a_rating(exchange, stars=4, comment="Fine.")
        other.request_id = request.request_id
        setattr(other, field, value)
        answer = await refused(food.stub.RateExchange(other))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_both_sides_may_use_one_request_id(food: Food) -> None:
    """It belongs to an exchange and a user."""
    exchange = await food.completed()
    request = a_rating(exchange, exchange.giver_id)
    assert not (await food.stub.RateExchange(request)).replayed
    request.rater_id = exchange.receiver_id
    answer = await food.stub.RateExchange(request)
    assert (answer.replayed, answer.rating.rated_id) == (False, exchange.giver_id)


@pytest.mark.parametrize("status", ["pending", "confirmed", "cancelled", "expired"])
async def test_only_a_completed_exchange_is_rated(database_url: str, db: Connection, status: str) -> None:
    async with food_service(database_url) as food:
        exchange = await food.claim((await food.create()).food_post_id)
        if status == "confirmed":
            await food.confirm(exchange)
        elif status == "cancelled":
            await food.cancel(exchange)
        elif status == "expired":
            await let_holds_end(db, exchange)
            await refused(food.confirm(exchange))
        before = await everything(db)
        answer = await refused(food.stub.RateExchange(a_rating(exchange)))
        assert answer.said == ("FAILED_PRECONDITION", "EXCHANGE_NOT_COMPLETED")
        assert answer.metadata == {"status": status}
        assert await everything(db) == before


async def test_only_the_two_sides_rate(food: Food, db: Connection) -> None:
    exchange = await food.completed()
    other = await food.completed(exchange.food_post_id)
    before = await everything(db)
    for stranger in (new_uuid(), other.receiver_id):
        answer = await refused(food.stub.RateExchange(a_rating(exchange, stranger)))
        assert answer.said == ("PERMISSION_DENIED", "NOT_A_PARTY")
    assert await everything(db) == before


async def test_an_exchange_that_is_not_there_cannot_be_rated(food: Food, db: Connection) -> None:
    exchange = await food.completed()
    exchange.exchange_id = new_uuid()
    before = await everything(db)
    assert (await refused(food.stub.RateExchange(a_rating(exchange)))).said == ("NOT_FOUND", "EXCHANGE_NOT_FOUND")
    assert await everything(db) == before
