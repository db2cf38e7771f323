"""Health of a server, per service and overall, as its readiness check sees it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from grpc_health.v1 import health, health_pb2

# Healthy for as long as the event loop answers: restarting a server would not bring its database back.
LIVENESS = "liveness"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_log = structlog.get_logger("tally.rpc.health")


class Health:
    """Drives `grpc.health.v1`: NOT_SERVING until the first readiness check succeeded, and again while one fails."""

    def __init__(
        self,
        services: Sequence[str],
        ready: Callable[[], Awaitable[None]] | None,
        interval_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self.servicer = health.aio.HealthServicer()
        self._services = ("", *services)
        self._ready = ready
        self._interval_seconds = interval_seconds
        self._timeout_seconds = timeout_seconds
        self._serving: bool | None = None

    async def check(self) -> None:
        """Asks once whether the server is ready and publishes the answer. Never raises on a failed check."""
        problem: Exception | None = None
        if self._ready is not None:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await self._ready()
            except Exception as error:
                problem = error
        serving = problem is None
        if serving != self._serving:
            if problem is not None:
                _log.warning("not ready", problem=f"{type(problem).__name__}: {problem}")
            elif self._serving is not None:
                _log.info("ready again")
            await self._publish(serving)

    async def poll(self) -> None:
        """Checks for ever: at the interval, and five times as often while not ready."""
        while True:
            await asyncio.sleep(self._interval_seconds if self._serving else self._interval_seconds / 5)
            await self.check()

    async def stop(self) -> None:
        """NOT_SERVING for good."""
        await self.servicer.enter_graceful_shutdown()

    async def _publish(self, serving: bool) -> None:
        self._serving = serving
        for service in self._services:
            await self.servicer.set(service, _SERVING if serving else _NOT_SERVING)
        await self.servicer.set(LIVENESS, _SERVING)
