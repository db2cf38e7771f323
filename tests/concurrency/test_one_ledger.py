"""Everybody has something to say of one user, at the same moment, through two services."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncpg
import pytest
from google.rpc import status_pb2
from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from tests.concurrency.answers import answer_of, open_channel, reason_of
from tests.concurrency.stage import Stage
from tests.services.reputation.ledgers import Ledgers, a_reversal, an_event, ledgers_add_up
from tests.stored import Connection

CALLERS = 64
TYPES = ("food_shared", "claim_expired", "incident_reported", "dispute_resolved", "garden_watered")
Request = messages.RecordReputationEventRequest | messages.ReverseReputationEventRequest


@pytest.fixture
async def db(reputation_stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(reputation_stage.database_url)
    yield connection
    await connection.close()


@dataclass
class Crowd:
    """Callers with a connection each, half of them to each service, and what they were told.

    Args:
        answers: by request id, the event of each answer.
        unanswered: calls that broke, and were repeated.
    """

    ledgers: list[Ledgers]
    random: random.Random
    answers: dict[str, list[resources.ReputationEvent]] = field(default_factory=dict)
    unanswered: int = 0

    async def act(self, caller: int, user_id: str, requests: int) -> None:
        """Records, takes back every third thing it recorded, and repeats every fifth request."""
        mine: list[str] = []
        for n in range(requests):
            request: Request = an_event(
                user_id, self.random.choice(TYPES), f"{self.random.randint(-500, 500) / 100:.2f}"
            )
            if n % 3 == 2:
                request = a_reversal(mine[-1])
            event = await self.told(caller, request)
            if not event.reverses_event_id:
                mine.append(event.event_id)
            if n % 5 == 4:
                await self.told(caller, request)

    async def told(self, caller: int, request: Request) -> resources.ReputationEvent:
        """The answer; a call that broke is repeated, with the same id, until there is one."""
        stub = self.ledgers[caller].stub
        async with asyncio.timeout(60):
            while True:
                if isinstance(request, messages.RecordReputationEventRequest):
                    answer = await answer_of(stub.RecordReputationEvent(request))
                else:
                    answer = await answer_of(stub.ReverseReputationEvent(request))
                if not isinstance(answer, status_pb2.Status):
                    self.answers.setdefault(request.request_id, []).append(answer.event)
                    return answer.event
                assert answer.code == 14, (answer.code, answer.message, reason_of(answer))  # UNAVAILABLE
                self.unanswered += 1
                await asyncio.sleep(0.02)


@pytest.fixture
async def crowd(reputation_stage: Stage, seed: str) -> AsyncIterator[Crowd]:
    async with AsyncExitStack() as stack:
        addresses = reputation_stage.addresses
        channels = [
            await stack.enter_async_context(open_channel(addresses[n % len(addresses)])) for n in range(CALLERS)
        ]
        async with asyncio.timeout(30):
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield Crowd([Ledgers(ReputationServiceStub(channel)) for channel in channels], random.Random(seed))


async def is_exactly_what_was_told(crowd: Crowd, db: Connection, user_id: str) -> None:
    """Each request is one event, the one that every answer to it told; the chain has no gap and replays to the stored score."""
    told = {}
    for request_id, events in crowd.answers.items():
        assert {event.SerializeToString() for event in events} == {events[0].SerializeToString()}
        told[uuid.UUID(request_id)] = events[0]
    stored = await db.fetch(
        "SELECT request_id, id, sequence, previous_score, new_score FROM reputation.reputation_events "
        "WHERE user_id = $1 ORDER BY sequence",
        uuid.UUID(user_id),
    )
    assert {row["request_id"] for row in stored} == {*told}
    assert [row["sequence"] for row in stored] == list(range(1, len(told) + 1))
    for row in stored:
        event = told[row["request_id"]]
        assert (event.event_id, event.sequence) == (str(row["id"]), row["sequence"])
        assert (event.previous_score, event.new_score) == (str(row["previous_score"]), str(row["new_score"]))
    verified = await crowd.ledgers[0].verify(user_id)
    assert (verified.consistent, verified.event_count) == (True, len(told))
    assert verified.stored_score == verified.replayed_score == str(stored[-1]["new_score"])
    await ledgers_add_up(db)


async def test_one_ledger_that_64_callers_write_at_once_is_a_chain_without_gaps(
    reputation_stage: Stage, crowd: Crowd, db: Connection
) -> None:
    """G5, G10: through two services; no lock error, no deadlock, nobody is told to come back."""
    user_id = await crowd.ledgers[0].register()
    trouble = len(reputation_stage.trouble())
    await asyncio.gather(*(crowd.act(caller, user_id, 10) for caller in range(CALLERS)))
    assert len(crowd.answers) == CALLERS * 10
    assert crowd.unanswered == 0
    await is_exactly_what_was_told(crowd, db, user_id)
    assert reputation_stage.trouble()[trouble:] == []
    assert reputation_stage.deadlocks() == 0


async def test_a_killed_service_loses_no_acknowledged_event_and_repeats_none(
    reputation_stage: Stage, crowd: Crowd, db: Connection
) -> None:
    """G1, G5, G10: kill -9 of one of two under load; its callers repeat their requests when it is back."""
    user_id = await crowd.ledgers[0].register()
    acting = asyncio.gather(*(crowd.act(caller, user_id, 12) for caller in range(CALLERS)))
    while len(crowd.answers) < CALLERS * 4:
        assert not acting.done()
        await asyncio.sleep(0.005)
    reputation_stage.services[1].kill()
    await asyncio.to_thread(reputation_stage.services[1].start)
    await acting
    assert crowd.unanswered > 0, "nobody noticed"
    assert len(crowd.answers) == CALLERS * 12
    await is_exactly_what_was_told(crowd, db, user_id)
