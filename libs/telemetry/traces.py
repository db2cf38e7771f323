"""Tracing: on only where an exporter is configured, by OpenTelemetry's own environment variables."""

import os
from collections.abc import Callable


def exporter_configured() -> bool:
    """Whether OTEL_EXPORTER_OTLP_ENDPOINT (or its variant for traces) is set."""
    return any(os.environ.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def configure(service: str) -> Callable[[], None]:
    """Installs a tracer provider that exports every span it is given, and returns what flushes and stops it.

    Which calls get a span is decided before a span is made (`libs.rpc.interceptors.tracing`). Without an exporter
    nothing is installed.
    """
    if not exporter_configured():
        return lambda: None
    # Imported here: the SDK and the exporter take longer to import than everything else a server needs.
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service, "service.namespace": "tally"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown
