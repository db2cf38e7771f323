"""BatchCoSign and StreamCoSigns."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from tests.servers import refusal, refused
from tests.services.petition.people import Petitions, a_signature, new_uuid
from tests.stored import Connection, counters_equal_rows, everything


def outcome(result: messages.CoSignResult) -> str:
    return "signed" if result.HasField("co_sign") else refusal(result.error).reason


async def a_mixed_load(petitions: Petitions) -> tuple[list[messages.CoSignRequest], list[str]]:
    """Good and bad signatures, and what is to become of each."""
    open_, closed, withdrawn = [await petitions.create() for _ in range(3)]
    await petitions.close(closed.petition_id)
    await petitions.withdraw(withdrawn)
    user = new_uuid()
    pairs = [
        (a_signature(open_.petition_id, user), "signed"),
        (a_signature(open_.petition_id, user), "ALREADY_SIGNED"),
        (a_signature(new_uuid()), "PETITION_NOT_FOUND"),
        (messages.CoSignRequest(petition_id=open_.petition_id), "INVALID_FIELDS"),
        (a_signature(closed.petition_id), "PETITION_CLOSED"),
        (a_signature(withdrawn.petition_id), "PETITION_WITHDRAWN"),
        (a_signature(open_.petition_id, region_code="not a code"), "INVALID_FIELDS"),
        (messages.CoSignRequest(), "INVALID_FIELDS"),
        (a_signature(open_.petition_id, region_code="FR"), "signed"),
    ]
    return [request for request, _ in pairs], [expected for _, expected in pairs]


async def test_each_item_of_a_batch_has_its_own_result_in_the_order_of_the_requests(
    petitions: Petitions, db: Connection
) -> None:
    requests, expected = await a_mixed_load(petitions)
    answer = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests))
    assert [outcome(result) for result in answer.results] == expected
    signed = [result.co_sign for result in answer.results if result.HasField("co_sign")]
    assert [(s.co_sign.ordinal, s.co_signer_count, list(s.crossed_thresholds)) for s in signed] == [
        (1, 1, []),
        (2, 2, [2]),
    ]
    assert len({s.commit_token for s in signed}) == 1
    assert refusal(answer.results[1].error).metadata["ordinal"] == "1"
    await counters_equal_rows(db)


async def test_an_item_with_bad_fields_names_them_with_its_place_in_the_batch(petitions: Petitions) -> None:
    bad = messages.CoSignRequest(petition_id="x", user_id=new_uuid(), region_code="a b", request_id=new_uuid())
    answer = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=[bad, bad]))
    fields = [refusal(result.error).fields for result in answer.results]
    assert fields == [[f"requests[{n}].petition_id", f"requests[{n}].region_code"] for n in range(2)]


async def test_a_batch_of_bad_items_only_is_answered_item_by_item(petitions: Petitions, db: Connection) -> None:
    """G9."""
    before = await everything(db)
    answer = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=[messages.CoSignRequest()] * 3))
    assert [outcome(result) for result in answer.results] == ["INVALID_FIELDS"] * 3
    assert await everything(db) == before


async def test_a_batch_may_hold_1000_items_and_no_more(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    requests = [a_signature(petition_id) for _ in range(1001)]
    before = await everything(db)
    answer = await refused(petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests)))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["requests"])
    answer = await refused(petitions.stub.BatchCoSign(messages.BatchCoSignRequest()))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["requests"])
    assert await everything(db) == before
    done = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests[:1000]))
    assert [result.co_sign.co_sign.ordinal for result in done.results] == list(range(1, 1001))
    await counters_equal_rows(db)


async def test_repeating_a_batch_answers_every_item_again_g5(petitions: Petitions, db: Connection) -> None:
    """G5."""
    petition_id = (await petitions.create()).petition_id
    batch = messages.BatchCoSignRequest(requests=[a_signature(petition_id) for _ in range(10)])
    first = await petitions.stub.BatchCoSign(batch)
    before = await everything(db)
    again = await petitions.stub.BatchCoSign(batch)
    assert all(result.co_sign.replayed for result in again.results)
    for result in again.results:
        result.co_sign.replayed = False
    assert again == first
    assert await everything(db) == before


async def test_batches_over_many_petitions_at_once_count_each_exactly(petitions: Petitions, db: Connection) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(20)]
    batches = [
        messages.BatchCoSignRequest(requests=[a_signature(ids[(n + k) % 20]) for k in range(40)]) for n in range(10)
    ]
    await asyncio.gather(*(petitions.stub.BatchCoSign(batch) for batch in batches))
    assert {await petitions.count(petition_id) for petition_id in ids} == {20}
    await counters_equal_rows(db)


async def test_a_stream_answers_each_request_in_order_and_one_bad_item_fails_alone(
    petitions: Petitions, db: Connection
) -> None:
    requests, expected = await a_mixed_load(petitions)
    results = await petitions.stream(requests)
    assert [outcome(result) for result in results] == expected
    await counters_equal_rows(db)


async def test_a_stream_message_without_a_request_is_a_bad_item(petitions: Petitions) -> None:
    call = petitions.stub.StreamCoSigns(iter([messages.StreamCoSignsRequest()]))
    (message,) = [message async for message in call]
    answer = refusal(message.result.error)
    assert answer.reason == "INVALID_FIELDS"
    assert sorted(answer.fields) == ["request.petition_id", "request.request_id", "request.user_id"]


async def test_an_empty_stream_ends_well(petitions: Petitions) -> None:
    assert await petitions.stream([]) == []


async def test_a_stream_of_2000_signatures_is_counted_exactly(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create(escalation_thresholds=[1, 1000, 2000])).petition_id
    requests = [a_signature(petition_id, region_code="DE") for _ in range(2000)]
    results = await petitions.stream(requests)
    assert [result.co_sign.co_sign.user_id for result in results] == [request.user_id for request in requests]
    assert [result.co_sign.co_sign.ordinal for result in results] == list(range(1, 2001))
    assert await petitions.escalations(petition_id) == [
        ("crossed", 1, 1, 1),
        ("crossed", 1000, 1000, 1000),
        ("crossed", 2000, 2000, 2000),
    ]
    await counters_equal_rows(db)


async def test_two_streams_on_one_petition_share_its_ordinals(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    results = await asyncio.gather(
        *(petitions.stream([a_signature(petition_id) for _ in range(300)]) for _ in range(2))
    )
    ordinals = [result.co_sign.co_sign.ordinal for stream in results for result in stream]
    assert sorted(ordinals) == list(range(1, 601))
    await counters_equal_rows(db)


@pytest.mark.parametrize("read_first", [0, 1, 50])
async def test_what_a_cancelled_stream_was_answered_stays_stored_g1(
    petitions: Petitions, db: Connection, read_first: int
) -> None:
    """G1: the caller may go at any moment; what it was told is true, and count and rows are equal."""
    petition_id = (await petitions.create()).petition_id

    async def requests() -> AsyncIterator[messages.StreamCoSignsRequest]:
        for _ in range(400):
            yield messages.StreamCoSignsRequest(request=a_signature(petition_id))
        await asyncio.Event().wait()

    call = petitions.stub.StreamCoSigns(requests())
    acknowledged: list[str] = []
    while len(acknowledged) < read_first:
        message = await call.read()
        assert isinstance(message, messages.StreamCoSignsResponse)
        acknowledged.append(message.result.co_sign.co_sign.user_id)
    call.cancel()
    await petitions.sign(petition_id)  # behind everything the stream left in the lane
    stored = {str(row[0]) for row in await db.fetch("SELECT user_id FROM petition.co_signs")}
    assert stored >= set(acknowledged)
    await counters_equal_rows(db)
