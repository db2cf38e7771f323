"""Two petition services on one database, shared by the tests of this folder: each test has petitions of its own."""

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from tests.concurrency.service_process import ServiceProcess
from tests.concurrency.stage import Stage
from tests.postgres import scratch_database


@pytest.fixture(scope="session")
def stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two services; they start once for all tests of a worker."""
    logs = tmp_path_factory.mktemp("two-services")
    with ExitStack() as stack:
        url = stack.enter_context(scratch_database(postgres_server, postgres_url, template_database))
        # Patient, so that a slow machine is not taken for a lock error.
        patient = {"lock_timeout": "20", "statement_timeout": "30"}
        services = [ServiceProcess(url, logs / f"petition-{n}.log", **patient) for n in range(2)]
        for service in services:
            stack.callback(service.close)
            service.start(wait=False)
        for service in services:
            service.wait_until_serving()
        yield Stage(url, services)


@pytest.fixture
def seed() -> str:
    """What all requests of a test are drawn from. TALLY_SEED repeats those of an earlier run, whose report names it."""
    chosen = os.environ.get("TALLY_SEED") or str(random.randrange(10**9))
    print(f"TALLY_SEED={chosen}")
    return chosen
