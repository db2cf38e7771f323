"""Telemetry of a process, from start to flush."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.telemetry import logs, metrics, traces


@asynccontextmanager
async def telemetry(
    service: str, *, log_format: logs.LogFormat, log_level: str, metrics_address: tuple[str, int] | None
) -> AsyncIterator[None]:
    """Sets up logs, traces and metrics for the process; on leaving, everything is flushed.

    `metrics_address` is where Prometheus collects; None turns that off.
    """
    logs.configure(service, log_format, log_level)
    stop_metrics = metrics.configure(service, *metrics_address) if metrics_address else None
    stop_traces = traces.configure(service)
    try:
        yield
    finally:
        await asyncio.to_thread(stop_traces)
        if stop_metrics is not None:
            await asyncio.to_thread(stop_metrics)
