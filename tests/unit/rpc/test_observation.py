"""Every call leaves one line and one measurement."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data import errors
from libs.telemetry.durations import DURATIONS
from tests.servers import refused
from tests.unit.rpc.small_server import REQUEST_ID, co_sign, get_petition, running, settings

SERVICE = "tally.petition.v1.PetitionService"


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


def calls(logged: list[EventDict]) -> list[EventDict]:
    return [line for line in logged if line["event"] == "call"]


class Servicer:
    def __init__(self) -> None:
        self.stuck = asyncio.Event()

    async def GetPetition(self, request: Any, context: Any) -> Any:
        return messages.GetPetitionResponse()

    async def CoSign(self, request: Any, context: Any) -> Any:
        if request.region_code == "BUG":
            raise RuntimeError("a defect")
        if request.region_code == "STUCK":
            self.stuck.set()
            await asyncio.Event().wait()
        if request.region_code == "TWICE":
            raise errors.AlreadyExists("signed before", reason="ALREADY_SIGNED")
        return messages.CoSignResponse()

    async def StreamCoSigns(self, request_iterator: Any, context: Any) -> Any:
        async for _ in request_iterator:
            yield messages.StreamCoSignsResponse()


async def test_a_call_leaves_one_line_with_method_code_duration_and_request_id(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        await server.stub.CoSign(co_sign())
    (line,) = calls(logged)
    assert line["method"] == f"/{SERVICE}/CoSign"
    assert line["code"] == "OK"
    assert line["request_id"] == REQUEST_ID
    assert line["log_level"] == "info"
    assert 0 <= line["duration_ms"] < 60_000


async def test_a_request_without_a_request_id_has_none_in_its_line(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        await server.stub.GetPetition(get_petition())
    assert "request_id" not in calls(logged)[0]


async def test_a_refusal_leaves_its_code_and_reason(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        await refused(server.stub.CoSign(co_sign(region_code="TWICE")))
    (line,) = calls(logged)
    assert (line["code"], line["reason"], line["message"]) == ("ALREADY_EXISTS", "ALREADY_SIGNED", "signed before")


async def test_a_bad_request_is_logged_with_what_was_bad(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        await refused(server.stub.CoSign(co_sign(user_id="me")))
    assert "user_id: must be a valid UUID" in calls(logged)[0]["message"]


async def test_a_defect_is_logged_with_its_exception(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        await refused(server.stub.CoSign(co_sign(region_code="BUG")))
    (line,) = calls(logged)
    assert (line["code"], line["log_level"]) == ("INTERNAL", "error")
    (defect,) = [each for each in logged if each["event"] == "handler failed"]
    assert str(defect["exc_info"]) == "a defect"
    assert defect["method"].endswith("/CoSign")


@pytest.mark.parametrize(("timeout", "code"), [(0.5, "DEADLINE_EXCEEDED"), (60, "CANCELLED")])
async def test_a_caller_that_leaves_is_told_from_one_whose_time_ran_out(
    logged: list[EventDict], timeout: float, code: str
) -> None:
    servicer = Servicer()
    async with running(servicer) as server:
        call = server.stub.CoSign(co_sign(region_code="STUCK"), timeout=timeout)
        await asyncio.wait_for(servicer.stuck.wait(), 10)
        if code == "CANCELLED":
            call.cancel()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await call
    assert [line["code"] for line in calls(logged)] == [code]


async def test_a_stream_leaves_one_line_when_it_ends(logged: list[EventDict]) -> None:
    async with running(Servicer()) as server:
        async for _ in server.stub.StreamCoSigns(iter([messages.StreamCoSignsRequest()] * 3)):
            pass
    assert [line["method"] for line in calls(logged)] == [f"/{SERVICE}/StreamCoSigns"]


async def test_fewer_lines_of_calls_that_succeed_can_be_asked_for_but_never_of_those_that_fail(
    logged: list[EventDict],
) -> None:
    async with running(Servicer(), settings(log_call_ratio=0)) as server:
        await server.stub.CoSign(co_sign())
        await refused(server.stub.CoSign(co_sign(region_code="TWICE")))
    assert [line["code"] for line in calls(logged)] == ["ALREADY_EXISTS"]


async def test_every_call_is_measured_whether_logged_or_not() -> None:
    path = f"/{SERVICE}/CoSign"

    def measured() -> tuple[int, int]:
        return DURATIONS.count(path, "OK"), DURATIONS.count(path, "ALREADY_EXISTS")

    before = measured()
    async with running(Servicer(), settings(log_call_ratio=0)) as server:
        for _ in range(5):
            await server.stub.CoSign(co_sign())
        await refused(server.stub.CoSign(co_sign(region_code="TWICE")))
    assert measured() == (before[0] + 5, before[1] + 1)
