"""Telemetry of a process, from start to flush."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from libs.telemetry import logs, metrics, traces
from libs.telemetry.output import Output

_DRAIN_INTERVAL_SECONDS = 0.1


@asynccontextmanager
async def telemetry(
    service: str, *, log_format: logs.LogFormat, log_level: str, metrics_address: tuple[str, int] | None
) -> AsyncIterator[None]:
    """Sets up logs, traces and metrics for the process; on leaving, everything is flushed.

    `metrics_address` is where Prometheus collects; None turns that off.
    """
    output = logs.configure(service, log_format, log_level)
    stop_metrics = metrics.configure(service, *metrics_address) if metrics_address else None
    stop_traces = traces.configure(service)
    draining = asyncio.create_task(_drain_for_ever(output), name="log-drain")
    output.buffer(True)
    try:
        yield
    finally:
        draining.cancel()
        with suppress(asyncio.CancelledError):
            await draining
        await asyncio.to_thread(stop_traces)
        if stop_metrics is not None:
            await asyncio.to_thread(stop_metrics)
        output.buffer(False)


async def _drain_for_ever(output: Output) -> None:
    while True:
        await asyncio.sleep(_DRAIN_INTERVAL_SECONDS)
        output.drain()
