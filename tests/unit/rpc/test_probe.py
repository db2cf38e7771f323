"""The probe tells serving from anything else, by its exit status too."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from libs.rpc.health import LIVENESS, Health
from libs.rpc.probe import probe

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", SERVING)
    servicer.set("resting", NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "libs.rpc.probe", *arguments], capture_output=True, text=True)


def test_a_serving_server_is_healthy(address: str) -> None:
    result = run(address.replace("127.0.0.1", "0.0.0.0"))
    assert (result.returncode, result.stdout) == (0, "SERVING\n")


def test_a_service_that_does_not_serve_is_not(address: str) -> None:
    result = run(address, "--service", "resting")
    assert (result.returncode, result.stdout) == (1, "NOT_SERVING\n")


def test_an_unknown_service_and_a_silent_port_are_named_as_what_they_are(address: str) -> None:
    assert probe(address, "nobody") == "NOT_FOUND"
    assert probe("127.0.0.1:1") == "UNAVAILABLE"


async def test_a_server_that_waits_for_its_database_is_alive_but_not_ready() -> None:
    async def no_database() -> None:
        raise ConnectionError

    server = grpc.aio.server()
    watched = Health(["tally.petition.v1.PetitionService"], no_database, interval_seconds=1, timeout_seconds=1)
    health_pb2_grpc.add_HealthServicer_to_server(watched.servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await watched.check()
    await server.start()
    try:
        assert await asyncio.to_thread(probe, address) == "NOT_SERVING"
        assert await asyncio.to_thread(probe, address, LIVENESS) == "SERVING"
    finally:
        await server.stop(0)
