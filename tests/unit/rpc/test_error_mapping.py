"""What a handler raises, as the caller sees it."""

import gc
import weakref
from typing import Any
from unittest.mock import Mock

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data import errors
from libs.rpc.interceptors.error_mapping import ErrorMapping
from tests.servers import refused
from tests.unit.rpc.small_server import PETITION_ID, REQUEST_ID, get_petition, running


def raising(error: Exception) -> object:
    class Servicer:
        async def GetPetition(self, request: Any, context: Any) -> Any:
            raise error

        async def InvalidateCoSigns(self, request: Any, context: Any) -> Any:
            raise AssertionError("a bad request reached the handler")

        async def StreamCoSigns(self, request_iterator: Any, context: Any) -> Any:
            yield messages.StreamCoSignsResponse()
            raise error

    return Servicer()


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.NotFound("no", reason="PETITION_NOT_FOUND"), "NOT_FOUND", "PETITION_NOT_FOUND"),
        (errors.AlreadyExists("twice", reason="ALREADY_SIGNED"), "ALREADY_EXISTS", "ALREADY_SIGNED"),
        (errors.FailedPrecondition("shut", reason="PETITION_CLOSED"), "FAILED_PRECONDITION", "PETITION_CLOSED"),
        (errors.Halted(), "FAILED_PRECONDITION", "HALTED"),
        (errors.PermissionDenied("not you"), "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (errors.Unauthenticated("who"), "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (errors.DatabaseUnavailable(), "UNAVAILABLE", "DATABASE_UNAVAILABLE"),
        (errors.OutcomeUnknown(), "UNAVAILABLE", "OUTCOME_UNKNOWN"),
        (errors.DeadlineExceeded(), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        (errors.InvalidInput([errors.FieldViolation("a.b", "is bad")]), "INVALID_ARGUMENT", "INVALID_FIELDS"),
    ],
)
async def test_each_kind_of_error_has_its_code_and_reason(error: Exception, code: str, reason: str) -> None:
    async with running(raising(error)) as server:
        assert (await refused(server.stub.GetPetition(get_petition()))).said == (code, reason)


async def test_a_refusal_lets_go_of_the_call_though_its_frame_holds_the_error() -> None:
    class Request:
        pass

    async def handler(request: Request, context: Any) -> None:
        error = errors.FailedPrecondition("nothing is left", reason="OUT_OF_STOCK")
        raise error

    method: Any = None
    request = Request()
    gone = weakref.ref(request)
    gc.disable()
    try:
        await ErrorMapping().unary(method, handler)(request, Mock())
        del request
        assert gone() is None
    finally:
        gc.enable()


async def test_facts_travel_in_the_metadata() -> None:
    error = errors.AlreadyExists("twice", reason="ALREADY_SIGNED", metadata={"ordinal": "17"})
    async with running(raising(error)) as server:
        assert (await refused(server.stub.GetPetition(get_petition()))).metadata == {"ordinal": "17"}


async def test_a_full_queue_says_when_to_come_back() -> None:
    async with running(raising(errors.ResourceExhausted("full", retry_after_seconds=0.25))) as server:
        refusal = await refused(server.stub.GetPetition(get_petition()))
        assert (refusal.code, refusal.retry_after) == ("RESOURCE_EXHAUSTED", 0.25)


async def test_an_unknown_exception_is_internal_and_its_text_stays_here() -> None:
    async with running(raising(RuntimeError('duplicate key value violates "co_signs_pkey"'))) as server:
        refusal = await refused(server.stub.GetPetition(get_petition()))
        assert refusal.said == ("INTERNAL", "INTERNAL")
        assert "co_signs" not in refusal.message


async def test_a_timeout_that_escapes_a_handler_is_a_defect() -> None:
    async with running(raising(TimeoutError())) as server:
        assert (await refused(server.stub.GetPetition(get_petition()))).said == ("INTERNAL", "INTERNAL")


async def test_a_stream_that_breaks_keeps_what_was_answered_and_says_why_it_broke() -> None:
    error = errors.FailedPrecondition("shut", reason="PETITION_CLOSED")
    async with running(raising(error)) as server:
        answers = server.stub.StreamCoSigns(iter([]))
        assert await answers.read() == messages.StreamCoSignsResponse()
        assert (await refused(answers.read())).said == ("FAILED_PRECONDITION", "PETITION_CLOSED")


async def test_ten_thousand_bad_fields_still_fit_a_status() -> None:
    request = messages.InvalidateCoSignsRequest(
        petition_id=PETITION_ID,
        users=messages.UserSelection(user_ids=[f"nobody {number}" for number in range(10_000)]),
        reason="fraud",
        request_id=REQUEST_ID,
    )
    async with running(raising(RuntimeError())) as server:
        refusal = await refused(server.stub.InvalidateCoSigns(request))
        assert refusal.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
        assert refusal.fields[0] == "users.user_ids[0]"
        assert len(refusal.fields) + int(refusal.metadata["omitted_fields"]) == 10_000
