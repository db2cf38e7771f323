"""Counters broken down by an id: served like any other, and what is not served is not there."""

import json
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID, uuid4

import pytest
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from libs.data.catalog import COUNTERS
from libs.data.catalog.voting import PARTICIPANT_VOTES
from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from tests.data.opinions import a_conversation, agree
from tests.eventually import becomes_true
from tests.servers import refusal, refused
from tests.services.aggregator.counting import PRIMARY, Counters, at_least, key
from tests.stored import Connection

AGREES = "voting.opinion_agrees"
CONVERSATION = uuid4()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        yield database


async def agreed(database: Database, user_id: UUID, *opinion_ids: UUID) -> str:
    """Answers the commit's token."""
    vote = partial(agree, conversation_id=CONVERSATION, user_id=user_id, opinion_ids=opinion_ids)
    token = (await database.write(vote)).token
    assert token is not None
    return token


async def test_an_opinions_votes_are_served_by_the_ids_of_conversation_and_opinion(
    counters: Counters, database: Database, db: Connection
) -> None:
    opinion, other = await a_conversation(db, CONVERSATION)
    token = at_least(await agreed(database, uuid4(), opinion))
    resource = f"{CONVERSATION}/{opinion}"
    for consistency in (None, PRIMARY, token, None):
        for written in (resource, resource.upper()):
            request = messages.GetCounterRequest(key=key(written, AGREES), consistency=consistency)
            answer = await counters.stub.GetCounter(request)
            assert (answer.key.resource_id, answer.count.value) == (resource, 1)
    assert answer.count.source == count_pb2.SOURCE_CACHE
    keys = [key(f"{CONVERSATION}/{each}".upper(), AGREES) for each in (other, opinion)]
    assert [result.count.value for result in await counters.batch([*keys, key(str(CONVERSATION), "voting.votes")])] == [
        0,
        1,
        1,
    ]
    # From here on both are held, and events alone tell of votes.
    await agreed(database, uuid4(), opinion, other)
    await becomes_true(lambda: _are(counters, {resource: 2, f"{CONVERSATION}/{other}": 1}))


async def _are(counters: Counters, expected: dict[str, int]) -> bool:
    counts = {resource_id: await counters.get(resource_id, counter=AGREES) for resource_id in expected}
    assert {count.source for count in counts.values()} == {count_pb2.SOURCE_CACHE}
    return {resource_id: count.value for resource_id, count in counts.items()} == expected


async def test_an_opinion_that_is_not_there_has_no_count(counters: Counters, db: Connection) -> None:
    (opinion,) = await a_conversation(db, CONVERSATION, 1)
    for resource_id in (f"{CONVERSATION}/{uuid4()}", f"{uuid4()}/{opinion}", f"{opinion}/{CONVERSATION}"):
        for consistency in (None, PRIMARY):
            answer = await refused(counters.get(resource_id, consistency, AGREES))
            assert answer.said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_what_is_no_pair_of_ids_is_refused_by_its_field(counters: Counters) -> None:
    one, other = uuid4(), uuid4()
    bad = (
        f"{one}",
        f"{one}/",
        f"/{one}",
        f"{one}/{other}/{one}",
        f"{one}/DE",
        f"{one}/{other}x",
        f"{one}/ {other}",
        f"{one}/{other.hex}",
    )
    for resource_id in bad:
        answer = await refused(counters.get(resource_id, counter=AGREES))
        assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
        assert answer.fields == ["key.resource_id"]
        assert "must be a UUID and what follows in conversation_id/opinion_id" in answer.message
    results = await counters.batch([key(resource_id, AGREES) for resource_id in bad])
    assert [refusal(result.error).fields for result in results] == [[f"keys[{n}].resource_id"] for n in range(len(bad))]


async def test_a_counter_that_is_not_served_is_as_unknown_as_one_that_is_not_there(
    counters: Counters, database: Database, db: Connection
) -> None:
    opinion, _ = await a_conversation(db, CONVERSATION)
    user = uuid4()
    await agreed(database, user, opinion)
    unserved = [name for name, counter in COUNTERS.items() if not counter.served]
    assert PARTICIPANT_VOTES.name in unserved
    listed = {c.name: c.resource for c in (await counters.stub.ListCounters(messages.ListCountersRequest())).counters}
    assert listed[AGREES] == "conversation_id/opinion_id" and not listed.keys() & set(unserved)
    for name in [*unserved, "voting.nothing"]:
        resource_id = f"{CONVERSATION}/{user}"
        (result,) = await counters.batch([key(resource_id, name)])
        watching = counters.stub.WatchCounters(messages.WatchCountersRequest(keys=[key(resource_id, name)]))
        for answer in (
            await refused(counters.get(resource_id, counter=name)),
            await refused(counters.get(resource_id, PRIMARY, name)),
            await refused(counters.top(counter=name)),
            await refused(watching.read()),
            refusal(result.error),
        ):
            assert answer.said == ("NOT_FOUND", "COUNTER_NOT_FOUND")
            assert name in answer.message
    told = json.loads(await db.fetchval("SELECT payload FROM operations.events"))["counters"]
    assert AGREES in told and not told.keys() & set(unserved)
