"""How long calls took, by method and code: the histogram `rpc.server.call.duration` of OpenTelemetry's conventions.

Counted by hand and not by an OpenTelemetry histogram, because it happens once a call and must cost a fraction of a
microsecond. Prometheus collects it as `rpc_server_call_duration_seconds`.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Durations:
    """The durations of one method's calls that ended with one code."""

    __slots__ = ("buckets", "total_seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self.total_seconds = 0.0

    def record(self, seconds: float) -> None:
        """Counts one call. For the event loop's thread only; the collector may read in between from its own."""
        self.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.total_seconds += seconds


class Calls(Collector):
    """Every method's durations, by code."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, str], Durations] = {}

    def of(self, service: str, method: str, code: str) -> Durations:
        """The durations to record into; the same object each time."""
        return self._durations.setdefault((service, method, code), Durations())

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "rpc_server_call_duration_seconds",
            "Time from a call's arrival at the chain to its answer",
            labels=("rpc_system", "rpc_service", "rpc_method", "rpc_grpc_status_code"),
        )
        for (service, method, code), durations in list(self._durations.items()):
            cumulative, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS_SECONDS), "+Inf"), list(durations.buckets), strict=True):
                cumulative += count
                buckets.append((bound, float(cumulative)))
            family.add_metric(("grpc", service, method, code), buckets, durations.total_seconds)
        yield family


CALLS = Calls()
