"""ConfirmExchange, CompleteExchange, CancelExchange and GetExchange."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tally.claims.v1 import exchange_pb2 as resources

from tests.servers import refused
from tests.services.claims.food import (
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    Food,
    a_cancellation,
    a_completion,
    a_confirmation,
    food_adds_up,
    food_service,
    let_holds_end,
)
from tests.services.petition.people import new_uuid
from tests.stored import Connection, events_of, everything

Asked = Callable[..., Any]

STEPS: dict[str, Asked] = {
    "ConfirmExchange": a_confirmation,
    "CompleteExchange": a_completion,
    "CancelExchange": a_cancellation,
}
REACHED = {"ConfirmExchange": CONFIRMED, "CompleteExchange": COMPLETED, "CancelExchange": CANCELLED}

each_step = pytest.mark.parametrize("rpc", STEPS)


def step(food: Food, rpc: str, exchange: resources.Exchange, actor_id: str = "") -> Awaitable[Any]:
    call: Awaitable[Any] = getattr(food.stub, rpc)(STEPS[rpc](exchange, actor_id))
    return call


async def ready_for(food: Food, rpc: str) -> resources.Exchange:
    """Two portions of a post of five, in an exchange with which this step can be done."""
    exchange = await food.claim((await food.create(portions=5)).food_post_id, portions=2)
    return await food.confirm(exchange) if rpc == "CompleteExchange" else exchange


def without_status(exchange: resources.Exchange) -> resources.Exchange:
    copy = resources.Exchange()
    copy.CopyFrom(exchange)
    copy.ClearField("status")
    copy.ClearField("status_time")
    return copy


@pytest.mark.parametrize("side", ["giver_id", "receiver_id"])
@each_step
async def test_either_side_does_a_step_and_the_portions_go_where_they_belong(
    food: Food, db: Connection, rpc: str, side: str
) -> None:
    """G1, G2."""
    exchange = await ready_for(food, rpc)
    answer = await step(food, rpc, exchange, getattr(exchange, side).upper())
    assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    after = answer.exchange
    assert after.status == REACHED[rpc]
    assert after.status_time.ToNanoseconds() > exchange.status_time.ToNanoseconds()
    assert without_status(after) == without_status(exchange), "a step changes the status and its time, and nothing else"
    assert await food.exchange(exchange.exchange_id) == after
    assert await food.portions(exchange.food_post_id) == ((5, 0, 0) if rpc == "CancelExchange" else (3, 0, 2))
    kind, payload = (await events_of(db, exchange.exchange_id))[-1]
    assert (
        kind
        == {
            "ConfirmExchange": "exchange.confirmed",
            "CompleteExchange": "exchange.completed",
            "CancelExchange": "exchange.cancelled",
        }[rpc]
    )
    assert payload == {
        "food_post_id": exchange.food_post_id,
        "group_id": (await food.get(exchange.food_post_id)).group_id,
        "giver_id": exchange.giver_id,
        "receiver_id": exchange.receiver_id,
        "portions": 2,
        "actor_id": getattr(exchange, side),
    }
    await food_adds_up(db)


async def test_a_confirmed_exchange_can_be_called_off(food: Food, db: Connection) -> None:
    exchange = await ready_for(food, "CompleteExchange")
    assert await food.portions(exchange.food_post_id) == (3, 0, 2)
    assert (await food.cancel(exchange)).status == CANCELLED
    assert await food.portions(exchange.food_post_id) == (5, 0, 0)
    await food_adds_up(db)


@each_step
async def test_who_has_no_part_in_an_exchange_changes_nothing(food: Food, db: Connection, rpc: str) -> None:
    exchange = await ready_for(food, rpc)
    other = await food.claim(exchange.food_post_id)
    before = await everything(db)
    for stranger in (new_uuid(), other.receiver_id, exchange.exchange_id):
        assert (await refused(step(food, rpc, exchange, stranger))).said == ("PERMISSION_DENIED", "NOT_A_PARTY")
    assert await everything(db) == before


@each_step
async def test_an_exchange_that_is_not_there_is_not_found(food: Food, db: Connection, rpc: str) -> None:
    exchange = await ready_for(food, rpc)
    exchange.exchange_id = new_uuid()
    before = await everything(db)
    assert (await refused(step(food, rpc, exchange))).said == ("NOT_FOUND", "EXCHANGE_NOT_FOUND")
    assert (await refused(food.exchange(exchange.exchange_id))).said == ("NOT_FOUND", "EXCHANGE_NOT_FOUND")
    assert await everything(db) == before


# RPC, the steps taken before, the reason it is then refused with, and the status that is told.
WRONG = [
    ("ConfirmExchange", ["ConfirmExchange"], "EXCHANGE_NOT_PENDING", "confirmed"),
    ("ConfirmExchange", ["ConfirmExchange", "CompleteExchange"], "EXCHANGE_NOT_PENDING", "completed"),
    ("ConfirmExchange", ["CancelExchange"], "EXCHANGE_NOT_PENDING", "cancelled"),
    ("ConfirmExchange", ["ConfirmExchange", "CancelExchange"], "EXCHANGE_NOT_PENDING", "cancelled"),
    ("CompleteExchange", [], "EXCHANGE_NOT_CONFIRMED", "pending"),
    ("CompleteExchange", ["ConfirmExchange", "CompleteExchange"], "EXCHANGE_NOT_CONFIRMED", "completed"),
    ("CompleteExchange", ["CancelExchange"], "EXCHANGE_NOT_CONFIRMED", "cancelled"),
    ("CancelExchange", ["ConfirmExchange", "CompleteExchange"], "EXCHANGE_ENDED", "completed"),
    ("CancelExchange", ["CancelExchange"], "EXCHANGE_ENDED", "cancelled"),
]


@pytest.mark.parametrize(("rpc", "before", "reason", "status"), WRONG)
async def test_a_step_at_the_wrong_time_is_refused_and_tells_the_status(
    food: Food, db: Connection, rpc: str, before: list[str], reason: str, status: str
) -> None:
    exchange = await food.claim((await food.create()).food_post_id)
    for earlier in before:
        await step(food, earlier, exchange)
    stored = await everything(db)
    for side in (exchange.giver_id, exchange.receiver_id):
        answer = await refused(step(food, rpc, exchange, side))
        assert (*answer.said, answer.metadata) == ("FAILED_PRECONDITION", reason, {"status": status})
    assert await everything(db) == stored


@each_step
async def test_every_step_after_the_hold_expired_is_told_so(database_url: str, db: Connection, rpc: str) -> None:
    async with food_service(database_url) as food:
        exchange = await food.claim((await food.create()).food_post_id)
        await let_holds_end(db, exchange)
        assert (await refused(step(food, "ConfirmExchange", exchange))).reason == "HOLD_EXPIRED"
        before = await everything(db)
        assert (await refused(step(food, rpc, exchange))).said == ("FAILED_PRECONDITION", "HOLD_EXPIRED")
        assert await everything(db) == before


async def test_repeating_a_confirmation_answers_confirmed_after_the_completion_g5(food: Food, db: Connection) -> None:
    """G5: the exchange as it was just then, with the token of that commit."""
    exchange = await food.claim((await food.create()).food_post_id)
    request = a_confirmation(exchange)
    first = await food.stub.ConfirmExchange(request)
    completed = await food.stub.CompleteExchange(a_completion(exchange))
    before = await everything(db)
    again = await food.stub.ConfirmExchange(request)
    assert (again.replayed, again.exchange.status) == (True, CONFIRMED)
    assert (again.exchange, again.commit_token) == (first.exchange, first.commit_token)
    assert again.commit_token != completed.commit_token
    assert await everything(db) == before
    assert await food.status(exchange) == COMPLETED


async def test_repeating_a_confirmation_answers_confirmed_after_the_cancellation_g5(food: Food) -> None:
    """G5."""
    exchange = await food.claim((await food.create()).food_post_id)
    request = a_confirmation(exchange)
    first = await food.stub.ConfirmExchange(request)
    await food.cancel(exchange)
    again = await food.stub.ConfirmExchange(request)
    assert (again.replayed, again.exchange, again.commit_token) == (True, first.exchange, first.commit_token)
    assert await food.status(exchange) == CANCELLED


@each_step
async def test_one_step_sent_many_times_at_once_is_one_step_g5(food: Food, db: Connection, rpc: str) -> None:
    """G5."""
    exchange = await ready_for(food, rpc)
    request = STEPS[rpc](exchange)
    answers = await asyncio.gather(*(getattr(food.stub, rpc)(request) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert len({(a.exchange.SerializeToString(), a.commit_token) for a in answers}) == 1
    assert await food.portions(exchange.food_post_id) == ((5, 0, 0) if rpc == "CancelExchange" else (3, 0, 2))
    await food_adds_up(db)


@each_step
async def test_of_many_who_do_a_step_at_once_exactly_one_does_it(food: Food, db: Connection, rpc: str) -> None:
    exchange = await ready_for(food, rpc)
    sides = [exchange.giver_id, exchange.receiver_id] * 5
    outcomes = await asyncio.gather(*(step(food, rpc, exchange, side) for side in sides), return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert await food.portions(exchange.food_post_id) == ((5, 0, 0) if rpc == "CancelExchange" else (3, 0, 2))
    await food_adds_up(db)
