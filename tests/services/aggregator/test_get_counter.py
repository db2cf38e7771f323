"""GetCounter and ListCounters."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from libs.data.catalog import COUNTERS
from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.aggregator.counting import (
    BY_REGION,
    CO_SIGNERS,
    ORDINALS,
    PRIMARY,
    Counters,
    at_least,
    at_most,
    key,
    seconds,
)
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection


async def test_every_declared_counter_is_listed_with_what_it_promises(counters: Counters) -> None:
    answer = await counters.stub.ListCounters(messages.ListCountersRequest())
    assert [c.name for c in answer.counters] == sorted(name for name, counter in COUNTERS.items() if counter.served)
    resources_of = {c.name: c.resource for c in answer.counters}
    assert resources_of.items() >= {
        (CO_SIGNERS, "petition_id"),
        (ORDINALS, "petition_id"),
        (BY_REGION, "petition_id/region_code"),
        ("claims.coupon_remaining", "name"),
        ("claims.portions_remaining", "food_post_id"),
    }
    assert all(c.description and c.counter_class == resources.COUNTER_CLASS_EXACT for c in answer.counters)


async def test_the_first_question_is_answered_by_the_primary_and_the_next_from_memory(
    petitions: Petitions, counters: Counters
) -> None:
    petition = await petitions.create()
    await petitions.signed_by(petition.petition_id, 3)
    first = await counters.get(petition.petition_id)
    again = await counters.get(petition.petition_id)
    assert (first.value, first.source) == (3, count_pb2.SOURCE_PRIMARY)
    assert (again.value, again.source) == (3, count_pb2.SOURCE_CACHE)


async def test_an_answer_says_what_it_is_worth(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    signed = await petitions.sign(petition.petition_id)
    await counters.get(petition.petition_id)
    await becomes_true(lambda: _reflects(counters, petition.petition_id, signed.commit_token))
    count = await counters.get(petition.petition_id)
    assert 0 <= seconds(count.age) < 10
    as_of = count.as_of_time.ToDatetime(UTC)
    assert abs(as_of - (datetime.now(UTC) - timedelta(seconds=seconds(count.age)))) < timedelta(seconds=2)


async def _reflects(counters: Counters, resource_id: str, token: str) -> bool:
    count = await counters.get(resource_id)
    reflected = int(count.commit_token, 16) >= int(token, 16)
    assert count.value == 1 or not reflected, "said to reflect a commit that it does not"
    return reflected


async def test_what_is_held_follows_commits(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    assert await counters.value(petition.petition_id) == 0
    await petitions.signed_by(petition.petition_id, 5, region_code="DE")

    async def told() -> bool:
        count = await counters.get(petition.petition_id)
        assert count.source == count_pb2.SOURCE_CACHE
        return count.value == 5

    await becomes_true(told)


async def test_whoever_signed_reads_the_signature(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    await counters.get(petition.petition_id)
    for n in range(1, 30):
        signed = await petitions.sign(petition.petition_id)
        assert await counters.value(petition.petition_id, at_least(signed.commit_token)) == n


async def test_a_commit_that_an_open_transaction_hides_from_the_stream_is_read_from_the_primary(
    petitions: Petitions, counters: Counters, db: Connection
) -> None:
    petition = await petitions.create()
    await counters.get(petition.petition_id)
    async with db.transaction():
        await db.fetchval("SELECT pg_current_xact_id()")
        signed = await petitions.sign(petition.petition_id)
        count = await counters.get(petition.petition_id, at_least(signed.commit_token))
        assert (count.value, count.source) == (1, count_pb2.SOURCE_PRIMARY)


async def test_the_age_grows_while_an_open_transaction_hides_commits(
    petitions: Petitions, counters: Counters, db: Connection
) -> None:
    petition = await petitions.create()
    await counters.get(petition.petition_id)
    async with db.transaction():
        await db.fetchval("SELECT pg_current_xact_id()")
        signed = await petitions.sign(petition.petition_id)
        committed = asyncio.get_running_loop().time()

        async def a_second_old() -> bool:
            hidden_for = asyncio.get_running_loop().time() - committed
            count = await counters.get(petition.petition_id)
            assert count.source == count_pb2.SOURCE_CACHE
            assert count.value == 1 or seconds(count.age) >= hidden_for, "an old value said to be new"
            assert int(count.commit_token, 16) < int(signed.commit_token, 16)
            return seconds(count.age) > 1

        await becomes_true(a_second_old)
    await becomes_true(lambda: _is(counters, petition.petition_id, 1, younger_than=1))


async def _is(counters: Counters, resource_id: str, value: int, younger_than: float) -> bool:
    count = await counters.get(resource_id)
    return count.value == value and seconds(count.age) < younger_than


@pytest.mark.parametrize("limit", [0.0, 0.02, 10.0])
async def test_no_answer_is_older_than_it_was_asked_to_be(
    petitions: Petitions, counters: Counters, limit: float
) -> None:
    petition = await petitions.create()
    await counters.get(petition.petition_id)
    for _ in range(20):
        count = await counters.get(petition.petition_id, at_most(limit))
        assert seconds(count.age) <= limit or count.source == count_pb2.SOURCE_PRIMARY
        await asyncio.sleep(0.02)


async def test_the_primary_is_asked_when_it_is_asked_for(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    for n in range(1, 6):
        await petitions.sign(petition.petition_id)
        count = await counters.get(petition.petition_id, PRIMARY)
        assert (count.value, count.source) == (n, count_pb2.SOURCE_PRIMARY)
        assert await counters.value(petition.petition_id) >= n


async def test_regions_and_ordinals_are_counters_like_any_other(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    users = await petitions.signed_by(petition.petition_id, 3, region_code="DE-BE")
    last = await petitions.withdraw_signature(petition.petition_id, users[0])
    wanted = at_least(last.commit_token)
    assert await counters.value(petition.petition_id, wanted, ORDINALS) == 3
    assert await counters.value(f"{petition.petition_id}/DE-BE", wanted, BY_REGION) == 2
    assert await counters.value(f"{petition.petition_id}/FR", wanted, BY_REGION) == 0
    await petitions.signed_by(petition.petition_id, 4, region_code="FR")
    await becomes_true(lambda: _region(counters, f"{petition.petition_id}/FR", 4))


async def _region(counters: Counters, resource_id: str, value: int) -> bool:
    return await counters.value(resource_id, counter=BY_REGION) == value


async def test_an_id_in_capitals_is_the_same_resource(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    await petitions.sign(petition.petition_id)
    for _ in range(2):
        request = messages.GetCounterRequest(key=key(petition.petition_id.upper()))
        answer = await counters.stub.GetCounter(request)
        assert (answer.key.resource_id, answer.count.value) == (petition.petition_id, 1)


async def test_a_petition_is_found_as_soon_as_it_exists(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    missing = new_uuid()
    assert (await refused(counters.get(missing))).said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await counters.value(petition.petition_id) == 0


async def test_an_unknown_counter_is_not_found(counters: Counters) -> None:
    assert (await refused(counters.get(new_uuid(), counter="petition.smiles"))).said == (
        "NOT_FOUND",
        "COUNTER_NOT_FOUND",
    )


@pytest.mark.parametrize("consistency", [None, PRIMARY, at_most(1)])
async def test_an_unknown_resource_is_not_found(counters: Counters, consistency: count_pb2.Consistency | None) -> None:
    for counter, resource_id in ((CO_SIGNERS, new_uuid()), (ORDINALS, new_uuid()), (BY_REGION, f"{new_uuid()}/DE")):
        answer = await refused(counters.get(resource_id, consistency, counter))
        assert answer.said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("token", ["ffffffffffffffff", "fffffff"])
async def test_a_token_that_was_never_handed_out_is_refused(
    petitions: Petitions, counters: Counters, token: str
) -> None:
    petition = await petitions.create()
    answer = await refused(counters.get(petition.petition_id, at_least(token)))
    assert answer.said == ("INVALID_ARGUMENT", "UNKNOWN_COMMIT_TOKEN")
    assert answer.fields == ["consistency.at_least"]


@pytest.mark.parametrize(
    ("counter", "resource_id"),
    [
        (CO_SIGNERS, "7"),
        (CO_SIGNERS, "{" + new_uuid() + "}"),
        (CO_SIGNERS, f"{new_uuid()}/DE"),
        (CO_SIGNERS, new_uuid().replace("-", "")),
        (CO_SIGNERS, f"{new_uuid()}\n"),
        (BY_REGION, new_uuid()),
        (BY_REGION, f"{new_uuid()}/"),
        (BY_REGION, f"{new_uuid()}/D\x00E"),
        (BY_REGION, f"{new_uuid()}/DE/BE"),
        (BY_REGION, "DE/DE"),
        (BY_REGION, f"'; DROP TABLE petition.co_signs; --/{new_uuid()}"),
    ],
)
async def test_an_id_that_cannot_be_one_is_refused_by_name(counters: Counters, counter: str, resource_id: str) -> None:
    answer = await refused(counters.get(resource_id, counter=counter))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == ["key.resource_id"]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.GetCounterRequest(), ["key"]),
        (messages.GetCounterRequest(key=key("")), ["key.resource_id"]),
        (messages.GetCounterRequest(key=key("a" * 301)), ["key.resource_id"]),
        (messages.GetCounterRequest(key=key(new_uuid(), "Petition")), ["key.counter"]),
        (messages.GetCounterRequest(key=key(new_uuid(), "a." + "b" * 99)), ["key.counter"]),
        (messages.GetCounterRequest(key=key("", "")), ["key.counter", "key.resource_id"]),
        (messages.GetCounterRequest(key=key(new_uuid()), consistency=at_most(-1)), ["consistency.max_staleness"]),
        (messages.GetCounterRequest(key=key(new_uuid()), consistency=at_most(3601)), ["consistency.max_staleness"]),
        (messages.GetCounterRequest(key=key(new_uuid()), consistency=at_least("xyz")), ["consistency.at_least"]),
        (messages.GetCounterRequest(key=key(new_uuid()), consistency=at_least("")), ["consistency.at_least"]),
        (messages.GetCounterRequest(key=key(new_uuid()), consistency=at_least("0" * 17)), ["consistency.at_least"]),
    ],
)
async def test_every_bad_field_is_named(
    counters: Counters, request_: messages.GetCounterRequest, fields: list[str]
) -> None:
    answer = await refused(counters.stub.GetCounter(request_))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == fields
