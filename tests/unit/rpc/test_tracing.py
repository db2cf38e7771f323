"""Which calls are traced, and what their spans say."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data import errors
from libs.rpc import interceptors
from libs.rpc.interceptors.tracing import Tracing
from tests.servers import refused
from tests.unit.rpc.small_server import Running, co_sign, get_petition, running, settings

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

Traced = Callable[[float, Callable[[Running], Awaitable[object]]], Awaitable[list[ReadableSpan]]]


class Servicer:
    async def GetPetition(self, request: Any, context: Any) -> Any:
        return messages.GetPetitionResponse()

    async def CoSign(self, request: Any, context: Any) -> Any:
        if request.region_code == "BUG":
            raise RuntimeError("a defect")
        raise errors.AlreadyExists("twice", reason="ALREADY_SIGNED")

    async def StreamCoSigns(self, request_iterator: Any, context: Any) -> Any:
        yield messages.StreamCoSignsResponse()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    """Calls a server that traces a share of calls, and answers the spans."""

    async def spans(ratio: float, call: Callable[[Running], Awaitable[object]]) -> list[ReadableSpan]:
        exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        monkeypatch.setattr(interceptors, "Tracing", lambda share, _: Tracing(share, provider))
        async with running(Servicer(), settings(trace_ratio=ratio)) as server:
            await call(server)
        return list(exporter.get_finished_spans())

    return spans


def get(traceparent: str | None = None) -> Callable[[Running], Awaitable[object]]:
    async def call(server: Running) -> object:
        metadata = grpc.aio.Metadata() if traceparent is None else grpc.aio.Metadata(("traceparent", traceparent))
        return await server.stub.GetPetition(get_petition(), metadata=metadata)

    return call


async def test_a_caller_that_traces_is_continued_whatever_the_ratio(traced: Traced) -> None:
    (span,) = await traced(0, get(f"00-{TRACE_ID}-{SPAN_ID}-01"))
    assert span.name == "tally.petition.v1.PetitionService/GetPetition"
    assert span.kind == SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN_ID
    assert f"{span.parent.trace_id:032x}" == TRACE_ID
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == 0


async def test_a_caller_that_does_not_trace_is_not_either(traced: Traced) -> None:
    assert await traced(1, get(f"00-{TRACE_ID}-{SPAN_ID}-00")) == []


@pytest.mark.parametrize(("ratio", "count"), [(0, 0), (1, 1)])
async def test_of_undecided_callers_the_ratio_is_traced(traced: Traced, ratio: float, count: int) -> None:
    assert len(await traced(ratio, get())) == count


async def test_a_refusal_is_no_failure_of_the_server_and_a_defect_is(traced: Traced) -> None:
    async def call(server: Running) -> None:
        await refused(server.stub.CoSign(co_sign()))
        await refused(server.stub.CoSign(co_sign(region_code="BUG")))

    refusal, defect = await traced(1, call)
    assert refusal.attributes is not None
    assert (refusal.attributes["rpc.grpc.status_code"], refusal.attributes["tally.reason"]) == (6, "ALREADY_SIGNED")
    assert refusal.status.status_code == StatusCode.UNSET
    assert defect.status.status_code == StatusCode.ERROR
    assert defect.events[0].name == "exception"


async def test_streams_are_traced_as_a_whole(traced: Traced) -> None:
    async def call(server: Running) -> None:
        async for _ in server.stub.StreamCoSigns(iter([])):
            pass

    assert len(await traced(1, call)) == 1


def test_without_a_provider_a_handler_is_left_as_it_is() -> None:
    async def handler(request: Any, context: Any) -> None: ...

    method: Any = None
    assert Tracing(1.0, None).unary(method, handler) is handler
