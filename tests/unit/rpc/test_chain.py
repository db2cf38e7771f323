"""The chain: its order, and what of a handler it lets through."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from tally.petition.v1 import petition_pb2
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceServicer, add_PetitionServiceServicer_to_server

from libs.rpc import registration
from libs.rpc.interceptors import chain
from libs.rpc.interceptors.draining import Draining
from libs.rpc.method import Method
from libs.telemetry.calls import Calls
from tests.unit.rpc.small_server import DESCRIPTOR, co_sign, get_petition, running, settings


def test_the_order_is_tracing_observation_errors_deadline_draining_authentication_validation() -> None:
    names = [type(interceptor).__name__ for interceptor in chain(settings(), Calls(), Draining())]
    assert names == [
        "Tracing",
        "Observation",
        "ErrorMapping",
        "Deadline",
        "Draining",
        "Authentication",
        "Validation",
    ]


def test_interceptors_run_in_the_order_they_are_given() -> None:
    ran: list[str] = []

    class Noting:
        def __init__(self, name: str) -> None:
            self._name = name

        def unary(self, method: Any, handler: Any) -> Any:
            async def noting(request: Any, context: Any) -> Any:
                ran.append(self._name)
                return await handler(request, context)

            return noting

        stream = unary

    async def handler(request: Any, context: Any) -> None:
        ran.append("handler")

    method = Method.of(DESCRIPTOR, DESCRIPTOR.methods_by_name["GetPetition"])
    composed: Any = registration.compose(method, handler, [Noting("outer"), Noting("inner")])
    asyncio.run(composed(None, None))
    assert ran == ["outer", "inner", "handler"]


async def test_answers_of_all_four_shapes_arrive() -> None:
    class Servicer:
        async def GetPetition(self, request: Any, context: Any) -> messages.GetPetitionResponse:
            return messages.GetPetitionResponse(petition=petition_pb2.Petition(petition_id=request.petition_id))

        async def StreamCoSigns(self, request_iterator: Any, context: Any) -> Any:
            async for message in request_iterator:
                signed = messages.CoSignResponse(commit_token=message.request.user_id)
                yield messages.StreamCoSignsResponse(result=messages.CoSignResult(co_sign=signed))

    async with running(Servicer()) as server:
        answer = await server.stub.GetPetition(get_petition())
        assert answer.petition.petition_id == get_petition().petition_id
        requests = [messages.StreamCoSignsRequest(request=co_sign(user_id=name)) for name in "abc"]
        answers = [each async for each in server.stub.StreamCoSigns(iter(requests))]
        assert [each.result.co_sign.commit_token for each in answers] == ["a", "b", "c"]


async def test_a_method_nobody_wrote_is_unimplemented() -> None:
    class Servicer:
        pass

    async with running(Servicer()) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.stub.GetPetition(get_petition())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_handler_that_would_block_the_loop_is_refused_when_the_server_is_built() -> None:
    class Servicer(PetitionServiceServicer):
        def GetPetition(self, request: Any, context: Any) -> Any:
            return messages.GetPetitionResponse()

    async def build() -> None:
        registration.add(grpc.aio.server(), add_PetitionServiceServicer_to_server, Servicer(), DESCRIPTOR, [])  # type: ignore[abstract]

    with pytest.raises(TypeError, match="GetPetition must be a coroutine function"):
        asyncio.run(build())


async def test_an_abort_of_the_handler_reaches_the_caller_as_it_is() -> None:
    class Servicer:
        async def GetPetition(self, request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.DATA_LOSS, "as I said")

    async with running(Servicer()) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.stub.GetPetition(get_petition())
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "as I said")


async def test_a_caller_that_goes_away_cancels_the_handler() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    class Servicer:
        async def CoSign(self, request: Any, context: Any) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    async with running(Servicer()) as server:
        call = server.stub.CoSign(co_sign())
        await asyncio.wait_for(started.wait(), 5)
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
