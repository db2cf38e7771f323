"""How long calls took, by method and code: the histogram `rpc.server.call.duration` of OpenTelemetry's conventions.

Counted by hand and not by an OpenTelemetry histogram, which costs microseconds a call where this costs a fraction of
one. Prometheus collects it as `rpc_server_call_duration_seconds`.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Histogram:
    """Of one method's calls that ended with one code."""

    __slots__ = ("counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.total_seconds = 0.0


class Durations(Collector):
    """Every method's durations, by code. Recorded by the event loop's thread, collected by the exporter's.

    Methods are named by their path, `/tally.petition.v1.PetitionService/CoSign`.
    """

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, str], _Histogram] = {}

    def record(self, path: str, code: str, seconds: float) -> None:
        histogram = self._histograms.get((path, code))
        if histogram is None:
            histogram = self._histograms[path, code] = _Histogram()
        histogram.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        histogram.total_seconds += seconds

    def count(self, path: str, code: str) -> int:
        """How many calls of a method have ended with a code."""
        histogram = self._histograms.get((path, code))
        return 0 if histogram is None else sum(histogram.counts)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "rpc_server_call_duration_seconds",
            "Time from a call's arrival at the chain to its answer",
            labels=("rpc_system", "rpc_service", "rpc_method", "rpc_grpc_status_code"),
        )
        for (path, code), histogram in list(self._histograms.items()):
            total_seconds, cumulative, buckets = histogram.total_seconds, 0, []
            for bound, count in zip((*map(str, BOUNDS_SECONDS), "+Inf"), list(histogram.counts), strict=True):
                cumulative += count
                buckets.append((bound, float(cumulative)))
            service, _, method = path.removeprefix("/").partition("/")
            family.add_metric(("grpc", service, method, code), buckets, total_seconds)
        yield family


DURATIONS = Durations()
