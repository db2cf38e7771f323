"""Metrics of a process are served, traces leave it only where an exporter is configured, and importing it is cheap."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

METRICS = """
import asyncio, urllib.request
from libs.telemetry.instruments import counter, gauge, histogram
from libs.telemetry.durations import DURATIONS
from libs.telemetry.setup import telemetry

signed = counter("tally.test.signatures", "{signature}", "Signatures")
sizes = histogram("tally.test.batch", "{command}", "Commands a batch", [1, 10, 100])
gauge("tally.test.depth", "{command}", "Commands that wait", lambda: 3)

async def main():
    async with telemetry("petition", log_format="json", log_level="info", metrics_address=("127.0.0.1", PORT)):
        signed.add(5, {"kind": "batch"})
        sizes.record(7)
        DURATIONS.record("/s/m", "OK", 0.2)
        print(await asyncio.to_thread(lambda: urllib.request.urlopen("http://127.0.0.1:PORT/metrics").read().decode()))

asyncio.run(main())
"""


def run(source: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_instruments_and_durations_are_served_to_prometheus(unused_tcp_port: int) -> None:
    page = run(METRICS.replace("PORT", str(unused_tcp_port)))
    assert 'tally_test_signatures_total{kind="batch",otel_scope_name="tally"' in page
    assert "tally_test_depth" in page
    assert "tally_test_batch" in page
    assert 'rpc_server_call_duration_seconds_count{rpc_grpc_status_code="OK"' in page
    assert "process_resident_memory_bytes" in page


@pytest.mark.parametrize(
    ("environment", "provider"),
    [({}, "ProxyTracerProvider"), ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "TracerProvider")],
)
def test_spans_are_exported_only_where_an_endpoint_is_given(environment: dict[str, str], provider: str) -> None:
    source = """
from libs.telemetry import traces
from opentelemetry import trace
stop = traces.configure("petition")
print(type(trace.get_tracer_provider()).__name__)
stop()
"""
    assert run(source, **environment).strip() == provider


def test_instruments_do_not_bring_in_the_sdk_or_grpc() -> None:
    source = """
import sys
import libs.telemetry.instruments
print([name for name in ("opentelemetry.sdk", "opentelemetry.exporter", "grpc", "prometheus_client") if name in sys.modules])
"""
    assert run(source).strip() == "[]"
