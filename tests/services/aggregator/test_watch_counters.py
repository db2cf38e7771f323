"""WatchCounters: all values, then what changes, whatever the reader's speed."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_service_pb2 as petition_messages

from libs.rpc.server import serving
from services.aggregator.__main__ import compose
from services.aggregator.settings import AggregatorSettings
from tests.eventually import becomes_true
from tests.servers import quick, refused
from tests.services.aggregator.counting import (
    BY_REGION,
    CO_SIGNERS,
    Counters,
    aggregator,
    at_least,
    duration,
    key,
    seconds,
)
from tests.services.petition.people import Petitions, a_signature, new_uuid

Changes = AsyncIterator[messages.WatchCountersResponse]


def watch(counters: Counters, *ids: str, interval: float | None = None, counter: str = CO_SIGNERS) -> Changes:
    request = messages.WatchCountersRequest(keys=[key(i, counter) for i in ids])
    if interval is not None:
        request.min_interval.CopyFrom(duration(interval))
    return aiter(counters.stub.WatchCounters(request))


async def told(changes: Changes) -> dict[str, int]:
    """The next message: values by resource."""
    async with asyncio.timeout(10):
        message = await anext(changes)
    return {value.key.resource_id: value.count.value for value in message.values}


async def test_the_first_message_has_all_values_and_later_ones_what_changed(
    petitions: Petitions, counters: Counters
) -> None:
    first, second = [(await petitions.create()).petition_id for _ in range(2)]
    await petitions.signed_by(first, 2)
    changes = watch(counters, first, second)
    assert await told(changes) == {first: 2, second: 0}
    await petitions.sign(second)
    assert await told(changes) == {second: 1}
    await petitions.signed_by(first, 3)
    assert await told(changes) == {first: 5}


async def test_what_is_told_says_what_it_is_worth(petitions: Petitions, counters: Counters) -> None:
    petition = await petitions.create()
    await counters.get(petition.petition_id)
    changes = watch(counters, petition.petition_id)
    await told(changes)
    signed = await petitions.sign(petition.petition_id)
    async with asyncio.timeout(10):
        (value,) = (await anext(changes)).values
    assert value.key == key(petition.petition_id)
    assert (value.count.value, value.count.source) == (1, count_pb2.SOURCE_CACHE)
    assert int(value.count.commit_token, 16) >= int(signed.commit_token, 16)
    assert seconds(value.count.age) < 5


async def test_a_slow_reader_gets_the_latest_value_not_every_step(petitions: Petitions, counters: Counters) -> None:
    petition_id = (await petitions.create()).petition_id
    changes = watch(counters, petition_id, interval=1.0)
    began = time.monotonic()
    assert await told(changes) == {petition_id: 0}
    for _ in range(5):
        await petitions.sign(petition_id)
        await asyncio.sleep(0.12)  # longer than a poll of the stream: five changes become known one after the other
    values: list[int] = []
    while 5 not in values:
        values += (await told(changes)).values()
        assert time.monotonic() - began >= 0.95 * len(values)
    assert len(values) < 5


async def test_a_reader_that_does_not_read_for_long_is_told_the_latest_and_costs_no_memory(
    petitions: Petitions, database_url: str
) -> None:
    petition = (await petitions.create()).petition_id
    ids = [f"{petition}/R{n}" for n in range(1000)]
    settings = quick(AggregatorSettings, database_url, "tally_aggregator")
    # A transport that buffers little, so that it is full after the first of the rounds of some hundred kilobytes each.
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
    async with (
        serving("aggregator", settings, compose) as server,
        grpc.aio.insecure_channel(server.address, options=narrow) as channel,
        grpc.aio.insecure_channel(server.address) as other_channel,
    ):
        others = Counters(AggregatorServiceStub(other_channel))
        request = messages.WatchCountersRequest(keys=[key(name, BY_REGION) for name in ids])
        call = AggregatorServiceStub(channel).WatchCounters(request)
        changes = aiter(call)
        seen = await told(changes)
        assert seen == dict.fromkeys(ids, 0)
        rounds = 20
        for _ in range(rounds):
            requests = [a_signature(petition, region_code=f"R{n}") for n in range(1000)]
            answer = await petitions.stub.BatchCoSign(petition_messages.BatchCoSignRequest(requests=requests))
            token = answer.results[-1].co_sign.commit_token
            assert await others.value(petition, at_least(token)) % 1000 == 0
        messages_read = 0
        while seen != dict.fromkeys(ids, rounds):
            update = await told(changes)
            assert all(value > seen[name] for name, value in update.items())
            seen |= update
            messages_read += 1
        assert 0 < messages_read < rounds / 2
        call.cancel()


async def test_a_change_that_is_undone_before_it_is_told_is_not_told(petitions: Petitions, counters: Counters) -> None:
    busy, quiet = [(await petitions.create()).petition_id for _ in range(2)]
    changes = watch(counters, busy, quiet, interval=0.5)
    assert await told(changes) == {busy: 0, quiet: 0}
    user = new_uuid()
    await petitions.sign(quiet, user)
    await petitions.withdraw_signature(quiet, user)
    await petitions.sign(busy)
    assert await told(changes) == {busy: 1}


async def test_a_watched_counter_is_not_forgotten_however_little_memory_there_is(
    petitions: Petitions, database_url: str
) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(20)]
    async with aggregator(database_url, aggregator_max_entries=3) as counters:
        changes = watch(counters, *ids[:5])
        assert await told(changes) == dict.fromkeys(ids[:5], 0)
        for _ in range(3):
            for petition_id in ids:
                await counters.get(petition_id)
        for petition_id in ids[:5]:
            await petitions.sign(petition_id)
            assert await told(changes) == {petition_id: 1}


async def test_a_reader_that_goes_away_leaves_nothing_behind(petitions: Petitions, database_url: str) -> None:
    petition_id = (await petitions.create()).petition_id
    async with aggregator(database_url, aggregator_max_watched=1) as counters:
        request = messages.WatchCountersRequest(keys=[key(petition_id)])
        call = counters.stub.WatchCounters(request)
        await told(aiter(call))
        answer = await refused(anext(watch(counters, petition_id)))
        assert (answer.code, answer.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
        assert answer.retry_after
        call.cancel()

        async def there_is_room() -> bool:
            try:
                return await told(watch(counters, petition_id)) == {petition_id: 0}
            except grpc.aio.AioRpcError:
                return False

        await becomes_true(there_is_room)


async def test_streams_end_at_once_when_the_server_stops(petitions: Petitions, database_url: str) -> None:
    petition_id = (await petitions.create()).petition_id
    settings = quick(AggregatorSettings, database_url, "tally_aggregator", drain_seconds=30.0)
    async with serving("aggregator", settings, compose) as server:
        channel = grpc.aio.insecure_channel(server.address)
        streams = [watch(Counters(AggregatorServiceStub(channel)), petition_id, interval=n * 60) for n in range(2)]
        for stream in streams:
            await told(stream)
        began = time.monotonic()
    assert time.monotonic() - began < 10, "the server waited for streams that never end"
    async with channel:
        for stream in streams:
            assert (await refused(anext(stream))).said == ("UNAVAILABLE", "SHUTTING_DOWN")


@pytest.mark.parametrize(
    ("counter", "resource_id", "reason"),
    [
        (CO_SIGNERS, new_uuid(), "RESOURCE_NOT_FOUND"),
        ("petition.smiles", new_uuid(), "COUNTER_NOT_FOUND"),
        (CO_SIGNERS, "7", "INVALID_FIELDS"),
    ],
)
async def test_one_key_that_is_none_refuses_the_stream(
    petitions: Petitions, counters: Counters, counter: str, resource_id: str, reason: str
) -> None:
    good = (await petitions.create()).petition_id
    request = messages.WatchCountersRequest(keys=[key(good), key(resource_id, counter)])
    answer = await refused(anext(aiter(counters.stub.WatchCounters(request))))
    assert answer.reason == reason
    assert answer.fields == (["keys[1].resource_id"] if reason == "INVALID_FIELDS" else [])
    assert await counters.value(good) == 0


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.WatchCountersRequest(), ["keys"]),
        (messages.WatchCountersRequest(keys=[key(new_uuid()) for _ in range(1001)]), ["keys"]),
        (messages.WatchCountersRequest(keys=[key("", "X")]), ["keys[0].counter", "keys[0].resource_id"]),
        (messages.WatchCountersRequest(keys=[key(new_uuid())], min_interval=duration(-0.001)), ["min_interval"]),
        (messages.WatchCountersRequest(keys=[key(new_uuid())], min_interval=duration(60.001)), ["min_interval"]),
        (messages.WatchCountersRequest(keys=[key("a" * 8 + "-0000-0000-0000-" + "0" * 12)] * 2), ["keys[1]"]),
    ],
)
async def test_every_bad_field_is_named(
    counters: Counters, request_: messages.WatchCountersRequest, fields: list[str]
) -> None:
    answer = await refused(anext(aiter(counters.stub.WatchCounters(request_))))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == fields
