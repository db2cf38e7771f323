"""Durations become the histogram that OpenTelemetry's conventions name."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from libs.telemetry.durations import BOUNDS_SECONDS, Durations

LABELS = {"rpc_system": "grpc", "rpc_service": "s", "rpc_method": "m", "rpc_grpc_status_code": "OK"}
NAME = "rpc_server_call_duration_seconds"


@given(st.lists(st.floats(0, 100)))
def test_every_call_is_in_one_bucket_and_in_the_sum(seconds: list[float]) -> None:
    durations, registry = Durations(), CollectorRegistry()
    registry.register(durations)
    for each in seconds:
        durations.record("/s/m", "OK", each)
    assert durations.count("/s/m", "OK") == len(seconds)
    for bound in BOUNDS_SECONDS if seconds else ():
        within = sum(each <= bound for each in seconds)
        assert registry.get_sample_value(f"{NAME}_bucket", LABELS | {"le": str(bound)}) == within
    if seconds:
        assert registry.get_sample_value(f"{NAME}_count", LABELS) == len(seconds)
        assert abs((registry.get_sample_value(f"{NAME}_sum", LABELS) or 0) - sum(seconds)) < 1e-6


def test_methods_and_codes_are_kept_apart() -> None:
    durations, registry = Durations(), CollectorRegistry()
    registry.register(durations)
    durations.record("/s/m", "OK", 0.1)
    durations.record("/s/m", "INTERNAL", 0.1)
    durations.record("/s/n", "OK", 0.1)
    lines = generate_latest(registry).decode().splitlines()
    assert sum(line.startswith(f"{NAME}_count") for line in lines) == 3
