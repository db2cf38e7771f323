"""Streams, which would not end by themselves, end when the server stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from tally.aggregator.v1 import aggregator_pb2
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.aggregator.v1.aggregator_service_pb2_grpc import (
    AggregatorServiceServicer,
    AggregatorServiceStub,
    add_AggregatorServiceServicer_to_server,
)

from libs.data.errors import Unavailable
from libs.rpc.interceptors.draining import Draining
from libs.rpc.method import Method
from libs.rpc.server import Composition, Registration, serving
from libs.rpc.settings import ServerSettings
from tests.servers import refused
from tests.unit.rpc.small_server import PETITION_ID, settings


class Watched:
    """A watch without end, which notes that it was closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def WatchCounters(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            yield messages.WatchCountersResponse()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_a_watch_is_told_to_go_elsewhere_and_does_not_hold_the_server() -> None:
    servicer: Any = type("Servicer", (Watched, AggregatorServiceServicer), {})()

    @asynccontextmanager
    async def compose(_: ServerSettings) -> AsyncIterator[Composition]:
        descriptor = messages.DESCRIPTOR.services_by_name["AggregatorService"]
        yield Composition([Registration(add_AggregatorServiceServicer_to_server, servicer, descriptor)])

    key = aggregator_pb2.CounterKey(counter="petition.co_signers", resource_id=PETITION_ID)
    async with serving("test", settings(drain_seconds=300), compose) as server:
        channel = grpc.aio.insecure_channel(server.address)
        watch = AggregatorServiceStub(channel).WatchCounters(messages.WatchCountersRequest(keys=[key]))
        assert await watch.read() == messages.WatchCountersResponse()
    assert (await refused(watch.read())).said == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert servicer.closed.is_set()
    await channel.close()


def method(*, streams_requests: bool, streams_responses: bool) -> Method:
    return Method("s", "M", streams_requests, streams_responses, messages.WatchCountersRequest.DESCRIPTOR)


async def test_requests_that_end_because_the_server_stops_do_not_pass_for_all_there_were() -> None:
    draining, taken = Draining(), asyncio.Event()

    async def handler(requests: Any, context: Any) -> list[int]:
        return [request async for request in requests]

    async def requests() -> AsyncIterator[int]:
        yield 1
        taken.set()
        await asyncio.Event().wait()

    wrapped: Any = draining.unary(method(streams_requests=True, streams_responses=False), handler)
    call = asyncio.ensure_future(wrapped(requests(), None))
    await taken.wait()
    draining.begin()
    with pytest.raises(Unavailable):
        await call


async def test_a_new_call_is_refused_and_one_that_had_begun_is_answered() -> None:
    draining, go_on = Draining(), asyncio.Event()

    async def handler(request: Any, context: Any) -> str:
        await go_on.wait()
        return "answered"

    wrapped: Any = draining.unary(method(streams_requests=False, streams_responses=False), handler)
    begun = asyncio.ensure_future(wrapped(None, None))
    await asyncio.sleep(0)
    draining.begin()
    with pytest.raises(Unavailable) as refusal:
        await wrapped(None, None)
    assert refusal.value.reason == "SHUTTING_DOWN"
    go_on.set()
    assert await begun == "answered"
    assert not begun.cancelled()


async def test_a_caller_that_cancels_while_the_server_stops_is_still_cancelled() -> None:
    draining = Draining()

    async def answers(request: Any, context: Any) -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    wrapped: Any = draining.stream(method(streams_requests=False, streams_responses=True), answers)
    call = asyncio.ensure_future(anext(wrapped(None, None)))
    await asyncio.sleep(0)
    call.cancel()
    draining.begin()
    with pytest.raises(asyncio.CancelledError):
        await call
