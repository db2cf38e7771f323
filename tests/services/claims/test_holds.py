"""Holds end by themselves, and what they held comes back once, whoever else is at the exchange in that moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc.aio
import pytest
from structlog.testing import capture_logs
from tally.claims.v1 import exchange_pb2 as resources

from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.claims.food import (
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    EXPIRED,
    PENDING,
    Food,
    a_cancellation,
    a_completion,
    a_confirmation,
    food_adds_up,
    food_service,
    let_holds_end,
)
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything, halt, resume

OFTEN = 0.005
meetings = pytest.mark.parametrize("rounds", [8, pytest.param(100, marks=pytest.mark.heavy)])


@pytest.fixture
async def food(database_url: str) -> AsyncIterator[Food]:
    """In this module: nothing expires but by a call."""
    async with food_service(database_url) as service:
        yield service


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[list[Food]]:
    """Two services on one database that never stop looking for holds whose time is over."""
    async with AsyncExitStack() as stack:
        services = [food_service(database_url, claims_expiry_seconds=OFTEN) for _ in range(2)]
        yield [await stack.enter_async_context(service) for service in services]


async def test_a_hold_that_nobody_confirms_ends_by_itself_and_gives_its_portions_back(
    database_url: str, db: Connection
) -> None:
    """G2: a hold of a twentieth of a second."""
    async with food_service(database_url, claims_hold_seconds=0.05, claims_expiry_seconds=OFTEN) as food:
        post = await food.create(portions=5)
        exchange = await food.claim(post.food_post_id, portions=2)

        async def expired() -> bool:
            return await food.status(exchange) == EXPIRED

        await becomes_true(expired)
        after = await food.exchange(exchange.exchange_id)
        assert after.status_time.ToNanoseconds() >= after.hold_expire_time.ToNanoseconds()
        assert await food.portions(post.food_post_id) == (5, 0, 0)
    assert await event_kinds(db, exchange.exchange_id) == ["exchange.pending", "exchange.expired"]
    await food_adds_up(db)


async def test_many_holds_end_once_where_two_services_look_for_them(two: list[Food], db: Connection) -> None:
    """G2: more than are looked for at once."""
    post = await two[0].create(portions=2000)
    exchanges = await asyncio.gather(*(two[n % 2].claim(post.food_post_id, portions=2) for n in range(700)))
    kept, *others = exchanges
    await let_holds_end(db, *others)

    async def given_back() -> bool:
        return await two[0].portions(post.food_post_id) == (1998, 2, 0)

    await becomes_true(given_back)
    assert await two[0].status(kept) == PENDING
    steps = await db.fetch("SELECT count(*) AS n FROM claims.exchange_steps WHERE status = 'expired'")
    assert steps[0]["n"] == 699
    assert await db.fetchval("SELECT count(*) FROM operations.events WHERE kind = 'exchange.expired'") == 699
    await food_adds_up(db)


@pytest.mark.parametrize(
    ("rpc", "asked"),
    [("ConfirmExchange", a_confirmation), ("CompleteExchange", a_completion), ("CancelExchange", a_cancellation)],
)
async def test_a_step_after_the_hold_is_over_is_refused_and_gives_the_portions_back(
    food: Food, db: Connection, rpc: str, asked: Any
) -> None:
    """G2: in the transaction that refuses, though nobody looked for the hold."""
    post = await food.create(portions=5)
    exchange = await food.claim(post.food_post_id, portions=2)
    await let_holds_end(db, exchange)
    assert await food.portions(post.food_post_id) == (3, 2, 0)
    answer = await refused(getattr(food.stub, rpc)(asked(exchange)))
    assert answer.said == ("FAILED_PRECONDITION", "HOLD_EXPIRED")
    assert await food.status(exchange) == EXPIRED
    assert await food.portions(post.food_post_id) == (5, 0, 0)
    assert await event_kinds(db, exchange.exchange_id) == ["exchange.pending", "exchange.expired"]
    await food_adds_up(db)
    before = await everything(db)
    assert (await refused(getattr(food.stub, rpc)(asked(exchange)))).reason == "HOLD_EXPIRED"
    assert await everything(db) == before, "the portions come back once"


async def test_a_stranger_does_not_end_a_hold(food: Food, db: Connection) -> None:
    exchange = await food.claim((await food.create()).food_post_id)
    await let_holds_end(db, exchange)
    before = await everything(db)
    assert (await refused(food.stub.ConfirmExchange(a_confirmation(exchange, new_uuid())))).reason == "NOT_A_PARTY"
    assert await everything(db) == before


async def test_a_confirmed_exchange_outlives_its_hold(two: list[Food], db: Connection) -> None:
    confirmed, pending = [await two[0].claim((await two[0].create()).food_post_id) for _ in range(2)]
    await two[0].confirm(confirmed)
    await let_holds_end(db, confirmed, pending)

    async def other_expired() -> bool:
        return await two[0].status(pending) == EXPIRED

    await becomes_true(other_expired)
    assert await two[0].status(confirmed) == CONFIRMED
    assert (await two[0].complete(confirmed)).status == COMPLETED
    await food_adds_up(db)


async def test_a_claim_gets_the_portions_of_holds_that_are_over_before_anybody_looked_for_them(
    food: Food, db: Connection
) -> None:
    """G4: never fewer while people ask."""
    post = await food.create(portions=5)
    over = [await food.claim(post.food_post_id, portions=2) for _ in range(2)]
    held = await food.claim(post.food_post_id)
    await let_holds_end(db, *over)
    claimed = await food.claim(post.food_post_id, portions=4)
    assert [await food.status(exchange) for exchange in (*over, held, claimed)] == [EXPIRED, EXPIRED, PENDING, PENDING]
    assert await food.portions(post.food_post_id) == (0, 5, 0)
    await food_adds_up(db)


async def test_a_claim_that_is_refused_nevertheless_gives_back_what_is_over(food: Food, db: Connection) -> None:
    """G2, G4: it tells what can be had now."""
    post = await food.create(portions=5)
    over = await food.claim(post.food_post_id, portions=2)
    await food.claim(post.food_post_id, portions=3)
    await let_holds_end(db, over)
    answer = await refused(food.claim(post.food_post_id, portions=3))
    assert (answer.reason, answer.metadata) == ("OUT_OF_STOCK", {"remaining": "2"})
    assert await food.status(over) == EXPIRED
    assert await food.portions(post.food_post_id) == (2, 3, 0)
    await food_adds_up(db)


async def test_as_many_claim_as_there_are_portions_when_holds_end_among_them(two: list[Food], db: Connection) -> None:
    """G4: everybody asks for one of ten portions that twenty people held before."""
    post = await two[0].create(portions=10)
    for _ in range(2):
        over = [await two[0].claim(post.food_post_id) for _ in range(10)]
        await let_holds_end(db, *over)
    outcomes = await asyncio.gather(*(two[n % 2].claim(post.food_post_id) for n in range(40)), return_exceptions=True)
    assert sum(isinstance(outcome, resources.Exchange) for outcome in outcomes) == 10
    assert await two[1].portions(post.food_post_id) == (0, 10, 0)
    await food_adds_up(db)


async def test_expiry_waits_while_writes_are_halted_and_goes_on_after_the_resume(
    database_url: str, db: Connection
) -> None:
    """G8."""
    async with food_service(database_url) as quiet:
        post = await quiet.create()
        exchange = await quiet.claim(post.food_post_id)
    await let_holds_end(db, exchange)
    await halt(db)
    before = await everything(db)
    with capture_logs() as logs:
        async with food_service(database_url, claims_expiry_seconds=OFTEN) as food:

            async def tried_and_tried_again() -> bool:
                return [entry["event"] for entry in logs].count("expiry_postponed") >= 3

            await becomes_true(tried_and_tried_again)
            assert {e["reason"] for e in logs if e["event"] == "expiry_postponed"} == {"HALTED"}
            assert await everything(db) == before
            await resume(db)

            async def expired() -> bool:
                return await food.status(exchange) == EXPIRED

            await becomes_true(expired)
            assert await food.portions(post.food_post_id) == (3, 0, 0)
    await food_adds_up(db)


async def holds_end_soon(db: Connection, exchanges: Sequence[resources.Exchange]) -> None:
    """The first is over, the last is far from it, and the others end within the next 20 ms, one after the other."""
    n = len(exchanges)
    milliseconds = [-1.0, *(20.0 * place / n for place in range(n - 2)), 3_600_000.0]
    await db.execute(
        "UPDATE claims.exchanges SET hold_expire_time = clock_timestamp() + ms * interval '1 millisecond' "
        "FROM unnest($1::uuid[], $2::float[]) AS soon(id, ms) WHERE exchange_id = id",
        [exchange.exchange_id for exchange in exchanges],
        milliseconds,
    )


def became(outcome: object) -> str:
    """What one of many calls was answered."""
    if isinstance(outcome, grpc.aio.AioRpcError):
        assert outcome.code() is grpc.StatusCode.FAILED_PRECONDITION, outcome
        return "refused"
    return resources.ExchangeStatus.Name(outcome.exchange.status)  # type: ignore[attr-defined]


@meetings
@pytest.mark.parametrize(
    ("rpc", "asked", "reached"),
    [("ConfirmExchange", a_confirmation, CONFIRMED), ("CancelExchange", a_cancellation, CANCELLED)],
)
async def test_a_step_and_the_end_of_the_hold_meet_and_one_of_them_happens(
    two: list[Food], db: Connection, rpc: str, asked: Any, reached: resources.ExchangeStatus.ValueType, rounds: int
) -> None:
    """G2: over and over six holds end while their receivers act, at two services that both look for overdue holds."""
    post = await two[0].create(portions=6 * rounds)
    happened = {reached: 0, EXPIRED: 0}
    for _ in range(rounds):
        exchanges = await asyncio.gather(*(two[n % 2].claim(post.food_post_id) for n in range(6)))
        await holds_end_soon(db, exchanges)
        outcomes = await asyncio.gather(
            *(getattr(two[n % 2].stub, rpc)(asked(exchange)) for n, exchange in enumerate(exchanges)),
            return_exceptions=True,
        )
        for exchange, outcome in zip(exchanges, outcomes, strict=True):
            status = await two[0].status(exchange)
            happened[status] += 1
            told = "refused" if status == EXPIRED else resources.ExchangeStatus.Name(reached)
            assert became(outcome) == told
    assert sum(happened.values()) == 6 * rounds
    assert min(happened.values()) >= 1, happened
    claimed = happened[CONFIRMED] if reached == CONFIRMED else 0
    assert await two[1].portions(post.food_post_id) == (6 * rounds - claimed, 0, claimed)
    await food_adds_up(db)


@meetings
async def test_a_cancellation_meets_a_confirmation_and_the_portions_come_back_once(
    two: list[Food], db: Connection, rounds: int
) -> None:
    """G2: called off before or after it was confirmed, it is called off."""
    post = await two[0].create(portions=rounds)
    confirmed = 0
    for n in range(rounds):
        exchange = await two[n % 2].claim(post.food_post_id)
        confirmation, cancellation = await asyncio.gather(
            two[0].stub.ConfirmExchange(a_confirmation(exchange, exchange.giver_id)),
            two[n % 2].stub.CancelExchange(a_cancellation(exchange)),
            return_exceptions=True,
        )
        assert became(cancellation) == "EXCHANGE_STATUS_CANCELLED"
        confirmed += became(confirmation) == "EXCHANGE_STATUS_CONFIRMED"
        assert await two[0].status(exchange) == CANCELLED
    steps = "SELECT count(*) FROM claims.exchange_steps WHERE status = 'confirmed'"
    assert await db.fetchval(steps) == confirmed
    assert await two[1].portions(post.food_post_id) == (rounds, 0, 0)
    await food_adds_up(db)


@meetings
async def test_a_completion_meets_a_cancellation_and_exactly_one_happens(
    two: list[Food], db: Connection, rounds: int
) -> None:
    """G2."""
    post = await two[0].create(portions=rounds)
    completed = 0
    for n in range(rounds):
        exchange = await two[n % 2].claim(post.food_post_id)
        await two[0].confirm(exchange)
        completion, cancellation = await asyncio.gather(
            two[n % 2].stub.CompleteExchange(a_completion(exchange, exchange.giver_id)),
            two[0].stub.CancelExchange(a_cancellation(exchange)),
            return_exceptions=True,
        )
        status = await two[0].status(exchange)
        if status == COMPLETED:
            assert (became(completion), became(cancellation)) == ("EXCHANGE_STATUS_COMPLETED", "refused")
        else:
            assert (became(completion), became(cancellation)) == ("refused", "EXCHANGE_STATUS_CANCELLED")
        completed += status == COMPLETED
    assert await two[1].portions(post.food_post_id) == (rounds - completed, 0, completed)
    await food_adds_up(db)
