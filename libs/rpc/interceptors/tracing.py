"""A span a sampled call, continuing the caller's trace (W3C `traceparent`)."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import grpc.aio
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.rpc.method import Context, Method, Refused, StreamHandler, UnaryHandler

_propagator = TraceContextTextMapPropagator()

# Codes that are the server's failure; the others are answers.
_FAILURES = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


class Tracing:
    """Decides first and cheaply whether a call is traced, and does nothing else for those that are not.

    A caller that sends `traceparent` has decided; of the others a share of `ratio` is traced. Without a provider of
    spans no call is.
    """

    def __init__(self, ratio: float, provider: TracerProvider | None) -> None:
        self._ratio = ratio
        self._tracer = None if provider is None else provider.get_tracer("tally.rpc")

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        if self._tracer is None:
            return handler

        async def traced(request: Any, context: Context) -> Any:
            parent = _traceparent(context)
            if not self._sampled(parent):
                return await handler(request, context)
            with self._span(method, context, parent) as span:
                answer = await handler(request, context)
                if isinstance(answer, Refused):
                    span.set_attribute("tally.reason", answer.error.reason)
                return answer

        return traced

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        if self._tracer is None:
            return handler

        async def traced(request: Any, context: Context) -> AsyncIterator[Any]:
            parent = _traceparent(context)
            with self._span(method, context, parent) if self._sampled(parent) else contextlib.nullcontext():
                async with contextlib.aclosing(handler(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response

        return traced

    def _sampled(self, parent: str | None) -> bool:
        if parent is not None:
            return parent.endswith("1")
        return random.random() < self._ratio  # noqa: S311

    @contextlib.contextmanager
    def _span(self, method: Method, context: Context, parent: str | None) -> Iterator[Span]:
        assert self._tracer is not None
        attributes = {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}
        remote = _propagator.extract({} if parent is None else {"traceparent": parent})
        with self._tracer.start_as_current_span(
            f"{method.service}/{method.name}",
            context=remote,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except grpc.aio.AbortError as abort:
                _finish(span, context, abort.__cause__)
                raise
            else:
                _finish(span, context, None)


def _finish(span: Span, context: Context, cause: BaseException | None) -> None:
    code = cast("grpc.StatusCode | None", context.code()) or grpc.StatusCode.OK
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if reason := getattr(cause, "reason", None):
        span.set_attribute("tally.reason", reason)
    if code in _FAILURES:
        span.set_status(StatusCode.ERROR, code.name)
        if cause is not None:
            span.record_exception(cause)


def _traceparent(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent":
            return value if isinstance(value, str) else value.decode("ascii", "replace")
    return None


def configured_provider(enabled: bool) -> TracerProvider | None:
    """The process's provider of spans where tracing is on."""
    return trace.get_tracer_provider() if enabled else None
