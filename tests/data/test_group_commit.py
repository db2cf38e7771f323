"""Group commit: order, batches, and who is told what when a shared transaction fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from libs.data.catalog.petition import PETITIONS
from libs.data.database import Committed, Database
from libs.data.deadlines import current_deadline
from libs.data.errors import (
    AlreadyExists,
    DatabaseUnavailable,
    DeadlineExceeded,
    Halted,
    Internal,
    ResourceExhausted,
    TallyError,
    Unavailable,
)
from libs.data.group_commit import GroupCommit
from libs.data.transaction import Transaction
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection, halt

REFUSED, POISON, TOO_LARGE = "refused", "poison", "too large"


class Slips:
    """Work that locks one petition and stores each command as a row, keeping what batches it was given."""

    def __init__(self, petition_id: UUID) -> None:
        self.petition_id = petition_id
        self.batches: list[list[str]] = []
        self.time_limits: list[str] = []

    async def __call__(self, tx: Transaction, commands: Sequence[str]) -> list[str | TallyError]:
        self.batches.append(list(commands))
        self.time_limits.append(await tx.fetchval("SHOW statement_timeout"))
        await tx.lock(PETITIONS, [self.petition_id])
        outcomes: list[str | TallyError] = []
        for command in commands:
            if command.startswith(REFUSED):
                outcomes.append(AlreadyExists(command))
                continue
            if command.startswith(POISON):
                raise ValueError(command)
            value: Any = 2**70 if command.startswith(TOO_LARGE) else 1
            await tx.execute("INSERT INTO public.slips (word, n) VALUES ($1, $2)", command, value)
            outcomes.append(command.upper())
        return outcomes


@pytest.fixture
async def petition_id(db: Connection) -> UUID:
    await db.execute("CREATE TABLE public.slips (id serial, word text UNIQUE, n integer)")
    return (await some_petitions(db))[0]


@pytest.fixture
async def slips(petition_id: UUID) -> Slips:
    return Slips(petition_id)


@pytest.fixture
async def lane(database: Database, slips: Slips) -> AsyncIterator[GroupCommit[str, str]]:
    lane: GroupCommit[str, str] = GroupCommit(database, slips, name="slips", max_batch=10, max_queue=50)
    yield lane
    await lane.drain()


async def stored(db: Connection) -> list[str]:
    return [row[0] for row in await db.fetch("SELECT word FROM public.slips ORDER BY id")]


def together(lane: GroupCommit[str, str], commands: Sequence[str]) -> "asyncio.Future[list[Any]]":
    """All outcomes, of commands submitted at once in this order."""
    return asyncio.gather(*(lane.submit(command) for command in commands), return_exceptions=True)


async def test_a_lone_command_goes_at_once_and_is_answered_after_its_commit(
    lane: GroupCommit[str, str], slips: Slips, db: Connection
) -> None:
    """G1."""
    outcome = await lane.submit("alone")
    assert outcome.value == "ALONE" and outcome.token
    assert await stored(db) == ["alone"]
    assert slips.batches == [["alone"]]


async def test_what_waits_while_a_transaction_is_in_flight_shares_the_next_in_order_of_arrival(
    lane: GroupCommit[str, str], slips: Slips, db: Connection, petition_id: UUID, database: Database
) -> None:
    words = [f"w{n:02}" for n in range(26)]
    async with row_held(db, petition_id):
        first = asyncio.create_task(lane.submit("first"))
        await waiting_for_locks(database, 1)
        rest = together(lane, words)
        await asyncio.sleep(0)
        assert lane.queue_depth == 26
    outcomes = await rest
    assert [len(batch) for batch in slips.batches] == [1, 10, 10, 6]
    assert await stored(db) == ["first", *words]
    assert [outcome.value for outcome in outcomes] == [word.upper() for word in words]
    assert len({outcome.token for outcome in [await first, *outcomes]}) == 4
    assert lane.queue_depth == 0


async def test_a_submission_of_many_is_one_transaction_even_if_larger_than_a_batch(
    lane: GroupCommit[str, str], slips: Slips, db: Connection
) -> None:
    words = [f"w{n:02}" for n in range(25)]
    outcomes = await lane.submit_many(words)
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Committed)] == [w.upper() for w in words]
    assert slips.batches == [words]
    assert await lane.submit_many([]) == ()


async def test_a_refused_command_is_refused_alone(lane: GroupCommit[str, str], slips: Slips, db: Connection) -> None:
    outcomes = await lane.submit_many(["a", REFUSED, "b"])
    assert isinstance(outcomes[1], AlreadyExists)
    assert len(slips.batches) == 1
    assert await stored(db) == ["a", "b"]
    with pytest.raises(AlreadyExists):
        await lane.submit(REFUSED)


@pytest.mark.parametrize("poison", [POISON, TOO_LARGE, "twice"])
async def test_a_command_that_breaks_the_shared_transaction_fails_alone(
    lane: GroupCommit[str, str], slips: Slips, db: Connection, petition_id: UUID, database: Database, poison: str
) -> None:
    """The batch is split until the culprit is by itself: a defect, a value the driver refuses, a violated constraint."""
    await lane.submit("twice")
    good = [f"w{n}" for n in range(7)]
    commands = [*good[:3], poison, *good[3:]]
    async with row_held(db, petition_id):
        first = asyncio.create_task(lane.submit("first"))
        await waiting_for_locks(database, 1)
        rest = together(lane, commands)
        await asyncio.sleep(0)
    outcomes = dict(zip(commands, await rest, strict=True))
    await first
    assert isinstance(outcomes.pop(poison), Internal)
    assert {word: outcome.value for word, outcome in outcomes.items()} == {word: word.upper() for word in good}
    assert await stored(db) == ["twice", "first", *good]


async def test_a_halt_fails_the_whole_batch_without_trying_its_parts(
    lane: GroupCommit[str, str], slips: Slips, db: Connection
) -> None:
    """G8."""
    await halt(db)
    outcomes = await lane.submit_many(["a", "b", "c", "d"])
    assert [type(outcome) for outcome in outcomes] == [Halted] * 4
    assert len(set(map(id, outcomes))) == 4, "each caller raises an error of its own"
    assert len(slips.batches) == 1
    assert await stored(db) == []


async def test_a_database_that_is_away_fails_the_whole_batch_without_trying_its_parts(
    lane: GroupCommit[str, str], slips: Slips, db: Connection
) -> None:
    await db.execute("""
        CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
        CREATE TRIGGER dies AFTER INSERT ON public.slips EXECUTE FUNCTION public.die();
    """)
    outcomes = await lane.submit_many(["a", "b", "c", "d"])
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 4
    assert len(slips.batches) == 1
    assert await stored(db) == []


async def test_a_full_queue_refuses_and_what_is_in_it_is_done(
    lane: GroupCommit[str, str], db: Connection, petition_id: UUID, database: Database
) -> None:
    async with row_held(db, petition_id):
        first = asyncio.create_task(lane.submit("first"))
        await waiting_for_locks(database, 1)
        waiting = together(lane, [f"w{n:02}" for n in range(50)])
        await asyncio.sleep(0)
        for refused in (lane.submit("one more"), lane.submit_many(["two", "more"])):
            with pytest.raises(ResourceExhausted) as caught:
                await refused
            assert caught.value.retry_after_seconds > 0
    await first
    assert not any(isinstance(outcome, BaseException) for outcome in await waiting)
    assert len(await stored(db)) == 51


async def test_a_command_whose_deadline_passed_in_the_queue_never_reaches_the_database(
    lane: GroupCommit[str, str], slips: Slips, db: Connection, petition_id: UUID, database: Database
) -> None:
    async with row_held(db, petition_id):
        first = asyncio.create_task(lane.submit("first"))
        await waiting_for_locks(database, 1)
        token = current_deadline.set(time.monotonic())
        late = asyncio.create_task(lane.submit("late"))
        current_deadline.set(time.monotonic() + 60)
        in_time = asyncio.create_task(lane.submit("in time"))
        current_deadline.reset(token)
        await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded, match="nothing was stored"):
        await late
    await asyncio.gather(first, in_time)
    assert slips.batches == [["first"], ["in time"]]
    assert await stored(db) == ["first", "in time"]


async def test_the_deadline_of_the_caller_who_started_the_lane_does_not_bind_the_others(
    lane: GroupCommit[str, str], slips: Slips
) -> None:
    """What is in a transaction is finished, whoever's time is over: others share it."""
    token = current_deadline.set(time.monotonic() + 3)
    await lane.submit("first")
    current_deadline.reset(token)
    await lane.submit("second")
    assert slips.time_limits == ["5s", "5s"]


async def test_a_cancelled_caller_leaves_the_queue_and_cancels_nobody_elses_transaction(
    lane: GroupCommit[str, str], slips: Slips, db: Connection, petition_id: UUID, database: Database
) -> None:
    async with row_held(db, petition_id):
        in_flight = asyncio.create_task(lane.submit("in flight"))
        await waiting_for_locks(database, 1)
        queued, stays = asyncio.create_task(lane.submit("queued")), asyncio.create_task(lane.submit("stays"))
        await asyncio.sleep(0)
        in_flight.cancel()
        queued.cancel()
        await asyncio.wait({in_flight, queued})
    assert (await stays).value == "STAYS"
    assert in_flight.cancelled() and queued.cancelled()
    assert slips.batches == [["in flight"], ["stays"]]
    assert await stored(db) == ["in flight", "stays"]


async def test_draining_answers_what_was_taken_on_and_takes_nothing_more(
    lane: GroupCommit[str, str], db: Connection
) -> None:
    """G1."""
    waiting = together(lane, [f"w{n:02}" for n in range(25)])
    await asyncio.sleep(0)
    await lane.drain()
    assert waiting.done() or len(await waiting) == 25
    assert len(await stored(db)) == 25
    with pytest.raises(Unavailable) as caught:
        await lane.submit("late")
    assert caught.value.reason == "SHUTTING_DOWN"
    await lane.drain()
