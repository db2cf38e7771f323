"""Metrics: OpenTelemetry instruments, and durations of calls, served in Prometheus' format."""

from collections.abc import Callable

from libs.telemetry.durations import DURATIONS


def configure(service: str, host: str, port: int) -> Callable[[], None]:
    """Serves `http://host:port/metrics` from a thread; returns what stops it. Raises OSError when the port is taken."""
    from opentelemetry import metrics
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from prometheus_client import REGISTRY, start_http_server

    server, thread = start_http_server(port, host)
    resource = Resource.create({"service.name": service, "service.namespace": "tally"})
    provider = MeterProvider([PrometheusMetricReader()], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    REGISTRY.register(DURATIONS)

    def stop() -> None:
        REGISTRY.unregister(DURATIONS)
        provider.shutdown()
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
