"""Deadlines: the caller's or the default one, carried to the data layer, kept by the server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data.deadlines import remaining_seconds
from tests.servers import refused
from tests.unit.rpc.small_server import co_sign, get_petition, running, settings


class Noting:
    """Notes the time that remains when its handlers are called."""

    def __init__(self) -> None:
        self.remaining: list[float | None] = []

    async def GetPetition(self, request: Any, context: Any) -> Any:
        self.remaining.append(remaining_seconds())
        return messages.GetPetitionResponse()

    async def StreamCoSigns(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self.remaining.append(remaining_seconds())
        yield messages.StreamCoSignsResponse()


class Stuck:
    """Never answers."""

    async def GetPetition(self, request: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    async def CoSign(self, request: Any, context: Any) -> Any:
        await asyncio.Event().wait()


async def test_the_callers_deadline_less_the_margin_is_the_handlers() -> None:
    servicer = Noting()
    async with running(servicer, settings(default_deadline_seconds=300, deadline_margin_seconds=2)) as server:
        await server.stub.GetPetition(get_petition(), timeout=60)
        (remaining,) = servicer.remaining
        assert remaining is not None and 50 < remaining < 59


async def test_a_short_deadline_gives_no_more_than_a_tenth_to_the_margin() -> None:
    servicer = Noting()
    async with running(servicer, settings(deadline_margin_seconds=30)) as server:
        await server.stub.GetPetition(get_petition(), timeout=20)
        assert servicer.remaining[0] == pytest.approx(18, abs=3)


async def test_a_caller_without_a_deadline_gets_the_default() -> None:
    servicer = Noting()
    async with running(servicer, settings(default_deadline_seconds=100, deadline_margin_seconds=1)) as server:
        await server.stub.GetPetition(get_petition())
        assert servicer.remaining[0] == pytest.approx(99, abs=3)


async def test_a_stream_has_only_the_deadline_its_caller_gave() -> None:
    servicer = Noting()
    async with running(servicer) as server:
        async for _ in server.stub.StreamCoSigns(iter([])):
            pass
        async for _ in server.stub.StreamCoSigns(iter([]), timeout=60):
            pass
        assert servicer.remaining[0] is None
        assert servicer.remaining[1] == pytest.approx(60, abs=3)


async def test_a_read_that_overruns_the_default_deadline_is_told_so() -> None:
    async with running(Stuck(), settings(default_deadline_seconds=0.05)) as server:
        refusals = await asyncio.gather(*(refused(server.stub.GetPetition(get_petition())) for _ in range(20)))
        assert {refusal.said for refusal in refusals} == {("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")}


async def test_a_write_that_overruns_it_may_have_been_stored_and_says_that() -> None:
    async with running(Stuck(), settings(default_deadline_seconds=0.05)) as server:
        assert (await refused(server.stub.CoSign(co_sign()))).said == ("UNAVAILABLE", "OUTCOME_UNKNOWN")
