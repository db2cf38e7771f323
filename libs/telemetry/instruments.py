"""Instruments for every library and service: made at import time, recorded into whatever `metrics.configure` set up.

Before that, and where metrics are off, recording does nothing. Names follow OpenTelemetry's conventions: dotted,
`tally.` in front of our own, units in UCUM (`s`, `By`, `{command}`). Recording costs about a microsecond or two:
record once a batch, not once an item.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation, UpDownCounter

_meter = metrics.get_meter("tally")


def counter(name: str, unit: str, description: str) -> Counter:
    """A sum that only grows."""
    return _meter.create_counter(name, unit, description)


def up_down_counter(name: str, unit: str, description: str) -> UpDownCounter:
    """A sum that grows and shrinks, such as what is in a queue."""
    return _meter.create_up_down_counter(name, unit, description)


def histogram(name: str, unit: str, description: str, bounds: Sequence[float] | None = None) -> Histogram:
    """A distribution; `bounds` are the buckets' upper bounds in the unit of the instrument."""
    return _meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)


def gauge(name: str, unit: str, description: str, read: Callable[[], float]) -> None:
    """A value read when it is asked for: `read` is called from the exporter's thread, so it must be quick and safe."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    _meter.create_observable_gauge(name, [observe], unit, description)


def gauge_by(name: str, unit: str, description: str, attribute: str, read: Callable[[], Mapping[str, float]]) -> None:
    """Like `gauge`, for several values that differ in one attribute: `read` answers attribute value to value."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {attribute: key}) for key, value in read().items()]

    _meter.create_observable_gauge(name, [observe], unit, description)


def gauge_each(
    name: str, unit: str, description: str, read: Callable[[], Iterable[tuple[Mapping[str, str], float]]]
) -> None:
    """Like `gauge`, for values that differ in several attributes: `read` answers each value with its own."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, attributes) for attributes, value in read()]

    _meter.create_observable_gauge(name, [observe], unit, description)
