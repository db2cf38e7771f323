"""Two services of each kind on one database, shared by the tests of this folder: each test has resources of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.concurrency.service_process import ServiceProcess
from tests.concurrency.stage import Stage
from tests.postgres import scratch_database
from tests.seeds import chosen_seed

# Patient, so that a slow machine is not taken for a lock error.
PATIENT = {"lock_timeout": "20", "statement_timeout": "30"}
# Seconds that portions are held on the claims stage: short enough that holds end while callers are at work.
HOLD_SECONDS = 0.5


@contextmanager
def two_services(name: str, url: str, logs: Path, **settings: str) -> Iterator[Stage]:
    with ExitStack() as stack:
        services = [ServiceProcess(name, url, logs / f"{name}-{n}.log", **PATIENT, **settings) for n in range(2)]
        for service in services:
            stack.callback(service.close)
            service.start(wait=False)
        for service in services:
            service.wait_until_serving()
        yield Stage(url, services)


@pytest.fixture(scope="session")
def stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two petition services; they start once for all tests of a worker."""
    with (
        scratch_database(postgres_server, postgres_url, template_database) as url,
        two_services("petition", url, tmp_path_factory.mktemp("two-services")) as stage,
    ):
        yield stage


@pytest.fixture(scope="session")
def claims_stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two claims services, likewise; both end holds soon after their time is over."""
    holds = {"claims_hold_seconds": str(HOLD_SECONDS), "claims_expiry_seconds": "0.1"}
    with (
        scratch_database(postgres_server, postgres_url, template_database) as url,
        two_services("claims", url, tmp_path_factory.mktemp("two-claims-services"), **holds) as stage,
    ):
        yield stage


@pytest.fixture(scope="session")
def voting_stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two voting services, likewise."""
    with (
        scratch_database(postgres_server, postgres_url, template_database) as url,
        two_services("voting", url, tmp_path_factory.mktemp("two-voting-services")) as stage,
    ):
        yield stage


@pytest.fixture(scope="session")
def reputation_stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two reputation services, likewise."""
    with (
        scratch_database(postgres_server, postgres_url, template_database) as url,
        two_services("reputation", url, tmp_path_factory.mktemp("two-reputation-services")) as stage,
    ):
        yield stage


@pytest.fixture
def seed() -> str:
    """What all requests of a test are drawn from. TALLY_SEED repeats those of an earlier run, whose report names it."""
    return chosen_seed()
