"""How a server starts, tells its health, and stops without losing what it took."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import ValidationError
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.rpc.settings import ServerSettings, UnsafeBindingError
from tests.servers import refused
from tests.unit.rpc.small_server import Running, co_sign, get_petition, running, settings

ROOT = Path(__file__).parents[3]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Empty:
    """Implements nothing."""


async def health(server: Running, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


async def test_health_is_told_for_the_server_and_for_each_service() -> None:
    async with running(Empty()) as server:
        assert await health(server) == SERVING
        assert await health(server, "tally.petition.v1.PetitionService") == SERVING


async def test_health_follows_readiness_both_ways() -> None:
    problem: Exception | None = ConnectionError("no database")

    async def ready() -> None:
        if problem is not None:
            raise problem

    async def until(status: int) -> None:
        async with asyncio.timeout(10):
            while await health(server) != status:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async with running(Empty(), settings(ready_interval_seconds=0.02), ready=ready) as server:
        assert await health(server) == NOT_SERVING
        problem = None
        await until(SERVING)
        problem = TimeoutError()
        await until(NOT_SERVING)


async def test_a_readiness_check_that_hangs_has_failed() -> None:
    async def ready() -> None:
        await asyncio.Event().wait()

    async with running(Empty(), settings(ready_timeout_seconds=0.01), ready=ready) as server:
        assert await health(server) == NOT_SERVING


async def test_a_call_in_flight_is_answered_and_only_then_the_service_drains() -> None:
    happened: list[str] = []
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def CoSign(self, request: Any, context: Any) -> Any:
            started.set()
            await go_on.wait()
            happened.append("answered")
            return messages.CoSignResponse()

    async def drain() -> None:
        happened.append("drain")

    async with running(Slow(), drain=[drain]) as server:
        # Of a channel of its own: the fixture's closes before the server stops.
        channel = grpc.aio.insecure_channel(server.address)
        call = PetitionServiceStub(channel).CoSign(co_sign())
        await asyncio.wait_for(started.wait(), 5)
        asyncio.get_running_loop().call_later(0.1, go_on.set)
    await call
    assert happened == ["answered", "drain"]
    await channel.close()


async def test_a_drain_that_fails_does_not_keep_the_next_from_running() -> None:
    ran: list[str] = []

    async def broken() -> None:
        raise RuntimeError

    async def fine() -> None:
        ran.append("fine")

    async with running(Empty(), drain=[broken, fine]):
        pass
    assert ran == ["fine"]


class Streams:
    """One of each kind of stream; neither ends by itself."""

    def __init__(self) -> None:
        self.watching = asyncio.Event()
        self.closed = asyncio.Event()

    async def StreamCoSigns(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for message in request_iterator:
                self.watching.set()
                await asyncio.sleep(0.01)
                signed = messages.CoSignResponse(commit_token=message.request.user_id)
                yield messages.StreamCoSignsResponse(result=messages.CoSignResult(co_sign=signed))
        finally:
            self.closed.set()


async def test_a_stream_of_requests_is_answered_for_what_it_took_and_then_told_to_go_elsewhere() -> None:
    servicer = Streams()
    sent = [messages.StreamCoSignsRequest(request=co_sign(user_id=name)) for name in "abc"]

    async def requests() -> AsyncIterator[messages.StreamCoSignsRequest]:
        for request in sent:
            yield request
        await asyncio.Event().wait()

    async with running(servicer, settings(drain_seconds=30)) as server:
        channel = grpc.aio.insecure_channel(server.address)
        call = PetitionServiceStub(channel).StreamCoSigns(requests())
        answers = [cast(messages.StreamCoSignsResponse, await call.read()) for _ in sent]
    refusal = await refused(call.read())
    assert [answer.result.co_sign.commit_token for answer in answers] == ["a", "b", "c"]
    assert refusal.said == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert servicer.closed.is_set()
    await channel.close()


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:0", "tally.example:50051"])
def test_without_authentication_nothing_but_loopback_is_bound(address: str) -> None:
    with pytest.raises(UnsafeBindingError, match="TALLY_AUTHENTICATION=trusted-network"):
        settings(listen=address).check_binding()
    settings(listen=address, authentication="trusted-network").check_binding()


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:0", "[::1]:50051", "127.8.8.8:1"])
def test_loopback_needs_no_authentication(address: str) -> None:
    settings(listen=address).check_binding()


def test_metrics_are_not_shown_to_everybody_either() -> None:
    with pytest.raises(UnsafeBindingError, match="TALLY_METRICS_LISTEN"):
        settings(metrics_listen="0.0.0.0:9090").check_binding()


PROGRAM = """
import asyncio
from contextlib import asynccontextmanager
from libs.rpc.server import Composition, run
from libs.rpc.settings import ServerSettings

@asynccontextmanager
async def compose(settings):
    yield Composition(services=[])
    print("composition closed", flush=True)

run("petition", ServerSettings(), compose)
"""


def start(**environment: str) -> subprocess.Popen[str]:
    given = {"TALLY_LISTEN": "127.0.0.1:0", "TALLY_METRICS_LISTEN": "", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/libs/sdk", **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_process_and_it_ends_well(number: signal.Signals) -> None:
    with start() as process:
        assert process.stdout is not None
        serving = json.loads(process.stdout.readline())
        with grpc.insecure_channel(serving["address"]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == SERVING
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    lines = output.splitlines()
    assert json.loads(lines[0])["event"] == "stopping"
    assert "composition closed" in lines
    assert json.loads(lines[-1])["event"] == "stopped"


def test_an_unsafe_binding_ends_the_process_with_one_sentence() -> None:
    with start(TALLY_LISTEN="0.0.0.0:0") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("petition: TALLY_LISTEN=0.0.0.0:0 is reachable from other machines")
    assert "Traceback" not in errors


def test_a_start_that_fails_says_why_in_the_log_and_ends_the_process() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, start(TALLY_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}") as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert "Failed to bind" in failed["exception"]


@pytest.mark.parametrize("address", ["50051", "127.0.0.1", "127.0.0.1:http", ":50051"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        settings(listen=address)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLY_DEFAULT_DEADLINE_SECONDS", "7")
    assert ServerSettings().default_deadline_seconds == 7


async def test_a_port_that_is_taken_is_an_error_and_not_shared() -> None:
    async with running(Empty()) as server:
        with pytest.raises(RuntimeError):
            async with running(Empty(), settings(listen=server.address)):
                pass


async def test_new_calls_are_refused_once_the_server_has_stopped() -> None:
    async with running(Empty()) as server:
        address = server.address
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await PetitionServiceStub(channel).GetPetition(get_petition(), timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
