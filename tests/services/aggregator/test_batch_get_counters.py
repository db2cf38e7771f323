"""BatchGetCounters: one result a key, in order; one bad key never fails the others."""

import pytest
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from tests.servers import refusal, refused
from tests.services.aggregator.counting import (
    BY_REGION,
    CO_SIGNERS,
    ORDINALS,
    PRIMARY,
    Counters,
    aggregator,
    at_least,
    at_most,
    key,
)
from tests.services.petition.people import Petitions, new_uuid


async def test_results_come_in_the_order_of_the_keys(petitions: Petitions, counters: Counters) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(5)]
    for signers, petition_id in enumerate(ids):
        await petitions.signed_by(petition_id, signers)
    for source in (count_pb2.SOURCE_PRIMARY, count_pb2.SOURCE_CACHE):
        results = await counters.batch([key(petition_id) for petition_id in reversed(ids)])
        assert [result.count.value for result in results] == [4, 3, 2, 1, 0]
        assert {result.count.source for result in results} == {source}
        assert all(result.count.commit_token and result.count.HasField("age") for result in results)


async def test_a_key_given_twice_is_answered_twice(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    for _ in range(2):
        results = await counters.batch([key(petition.petition_id), key(petition.petition_id.upper())])
        assert [result.count.value for result in results] == [0, 0]


@pytest.mark.parametrize("consistency", [None, PRIMARY, at_most(5)])
async def test_what_is_wrong_with_one_key_is_that_keys_own(
    petitions: Petitions, counters: Counters, consistency: count_pb2.Consistency | None
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 2, region_code="DE")
    keys = [
        key(petition_id),
        key("nobody"),
        key(petition_id, "Bad Name"),
        key(petition_id, "petition.smiles"),
        key(new_uuid()),
        key(f"{petition_id}/DE", BY_REGION),
        key("", ""),
        key(petition_id, ORDINALS),
    ]
    results = await counters.batch(keys, consistency)
    assert [result.count.value for result in results if result.HasField("count")] == [2, 2, 2]
    errors = [refusal(result.error) for result in results if result.HasField("error")]
    assert [error.reason for error in errors] == [
        "INVALID_FIELDS",
        "INVALID_FIELDS",
        "COUNTER_NOT_FOUND",
        "RESOURCE_NOT_FOUND",
        "INVALID_FIELDS",
    ]
    assert [error.fields for error in errors] == [
        ["keys[1].resource_id"],
        ["keys[2].counter"],
        [],
        [],
        ["keys[6].counter", "keys[6].resource_id"],
    ]


async def test_a_batch_reads_what_was_just_written(petitions: Petitions, counters: Counters) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(3)]
    await counters.batch([key(petition_id) for petition_id in ids])
    for n in range(1, 6):
        tokens = [(await petitions.sign(petition_id)).commit_token for petition_id in ids]
        results = await counters.batch([key(petition_id) for petition_id in ids], at_least(tokens[-1]))
        assert [result.count.value for result in results] == [n, n, n]


async def test_a_thousand_keys_fit_also_where_memory_holds_ten(petitions: Petitions, database_url: str) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(10)]
    for n, petition_id in enumerate(ids):
        await petitions.signed_by(petition_id, n)
    keys = [key(f"{ids[n % 10]}/R{n}", BY_REGION) for n in range(990)] + [key(petition_id) for petition_id in ids]
    async with aggregator(database_url, aggregator_max_entries=10) as counters:
        for _ in range(3):
            results = await counters.batch(keys)
            assert [result.count.value for result in results[990:]] == list(range(10))
            assert all(result.HasField("count") for result in results)


async def test_an_unknown_token_fails_the_whole_batch(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    answer = await refused(counters.batch([key(petition.petition_id)], at_least("ffffffffff")))
    assert (answer.reason, answer.fields) == ("UNKNOWN_COMMIT_TOKEN", ["consistency.at_least"])


@pytest.mark.parametrize("count", [0, 1001])
async def test_no_keys_and_too_many_are_refused(counters: Counters, count: int) -> None:
    answer = await refused(counters.batch([key(new_uuid())] * count))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == ["keys"]


async def test_a_bad_consistency_is_named(counters: Counters) -> None:
    request = messages.BatchGetCountersRequest(
        keys=[resources.CounterKey(counter=CO_SIGNERS, resource_id=new_uuid())], consistency=at_most(-1)
    )
    answer = await refused(counters.stub.BatchGetCounters(request))
    assert answer.fields == ["consistency.max_staleness"]
