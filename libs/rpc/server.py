"""The one builder of Tally's servers: every service goes through here, in production and in tests.

    async with serving("petition", settings, compose) as server:   # in-process
        channel = grpc.aio.insecure_channel(server.address)

    run("petition", PetitionSettings(), compose)                   # a process, until SIGTERM or SIGINT

`compose` is the service's composition root: an async context manager that opens what the service needs and yields a
`Composition`.
"""

import asyncio
import contextlib
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc.aio
import structlog
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2_grpc

from libs.rpc import reflection, registration
from libs.rpc.health import Health
from libs.rpc.interceptors import chain
from libs.rpc.interceptors.draining import Draining
from libs.rpc.settings import ServerSettings, UnsafeBindingError, split_address
from libs.telemetry.calls import Calls
from libs.telemetry.setup import telemetry

_log = structlog.get_logger("tally.rpc.server")

# A stopping server stops grpc once it had nothing to do or to refuse for so many seconds, or after so many at the latest.
_QUIET, _QUIET_AT_MOST = 0.01, 1.0


@dataclass(frozen=True, slots=True)
class Registration:
    """A service to serve: the generated `add_…Servicer_to_server`, the servicer, and the service's descriptor."""

    add_to_server: Callable[[Any, Any], None]
    servicer: object
    descriptor: ServiceDescriptor


@dataclass(frozen=True, slots=True)
class Composition:
    """What a service consists of.

    Args:
        services: what to serve.
        drain: awaited in order after the server stopped accepting and calls in flight have ended.
        ready: raises when the service cannot work now; polled, it drives health SERVING / NOT_SERVING.
    """

    services: Sequence[Registration]
    drain: Sequence[Callable[[], Awaitable[None]]] = field(default=())
    ready: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that accepts calls at `address` (host:port)."""

    name: str
    address: str


SettingsT = TypeVar("SettingsT", bound=ServerSettings)
Compose = Callable[[SettingsT], AbstractAsyncContextManager[Composition]]


@asynccontextmanager
async def serving(name: str, settings: SettingsT, compose: Compose[SettingsT]) -> AsyncIterator[Serving]:
    """Serves while the context is open; leaving it drains.

    Leaving: health NOT_SERVING, a short pause, new calls are refused, calls in flight end (at most `drain_seconds`), the
    composition's `drain`, then its context closes. Raises UnsafeBindingError, and RuntimeError when the port is taken.
    """
    settings.check_binding()
    async with compose(settings) as composition:
        server = grpc.aio.server(options=_options(settings))
        calls = Calls(settings.log_call_ratio)
        draining = Draining()
        interceptors = chain(settings, calls, draining)
        names = [service.descriptor.full_name for service in composition.services]
        for service in composition.services:
            registration.add(server, service.add_to_server, service.servicer, service.descriptor, interceptors)
        health = Health(names, composition.ready, settings.ready_interval_seconds, settings.ready_timeout_seconds)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        reflection.add(server, names)
        host, _ = split_address(settings.listen)
        port = server.add_insecure_port(settings.listen)
        await health.check()
        await server.start()
        background = [asyncio.create_task(work) for work in (health.poll(), calls.drain_for_ever())]
        try:
            yield Serving(name, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        finally:
            await _drain(server, health, draining, composition, settings)
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            calls.drain()


def run(name: str, settings: SettingsT, compose: Compose[SettingsT]) -> None:
    """Serves until SIGTERM or SIGINT, then drains and returns. A start that fails ends the process with status 1."""
    try:
        settings.check_binding()
    except UnsafeBindingError as error:
        sys.exit(f"{name}: {error}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(name, settings, compose))


async def _serve_until_signalled(name: str, settings: SettingsT, compose: Compose[SettingsT]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics_address = split_address(settings.metrics_listen) if settings.metrics_listen else None
    async with telemetry(
        name, log_format=settings.log_format, log_level=settings.log_level, metrics_address=metrics_address
    ):
        async with _failures_logged(name), serving(name, settings, compose) as server:
            # What is loaded by now stays. Walking it again and again was a twelfth of a small call's cost.
            gc.collect()
            gc.freeze()
            _log.info("serving", service=name, address=server.address, metrics_address=settings.metrics_listen)
            await stop.wait()
            _log.info("stopping", service=name)
        _log.info("stopped", service=name)


@asynccontextmanager
async def _failures_logged(name: str) -> AsyncIterator[None]:
    """A server that cannot start says why where its log is read, and ends the process with status 1."""
    try:
        yield
    except Exception as error:
        _log.exception("failed", service=name)
        raise SystemExit(1) from error


async def _drain(
    server: grpc.aio.Server, health: Health, draining: Draining, composition: Composition, settings: ServerSettings
) -> None:
    started = time.monotonic()
    await health.stop()
    await asyncio.sleep(settings.drain_pause_seconds)
    over = started + settings.drain_pause_seconds + settings.drain_seconds
    draining.begin()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_AT_MOST):
            await draining.quiet(_QUIET)
    await server.stop(settings.drain_seconds)
    for step in composition.drain:
        await _finish(step, over)


async def _finish(step: Callable[[], Awaitable[None]], over: float) -> None:
    """Does one step of a drain, by that moment of the monotonic clock or within a second; what fails is logged."""
    try:
        async with asyncio.timeout(max(1.0, over - time.monotonic())):
            await step()
    except Exception:
        _log.exception("drain failed", step=getattr(step, "__qualname__", repr(step)))


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_answer_bytes),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 3),
    ]
