"""A Postgres on disk that tests may kill, shared by the tests of a worker, and a petition service on a database of it."""

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from libs.data.migrate import upgrade
from libs.devstack.postgres import Cluster, remove_home
from tests.chaos.proxy import CommitProxy
from tests.chaos.scene import CALLERS, Scene
from tests.concurrency.checker import assert_exact
from tests.concurrency.history import Attempt
from tests.concurrency.mix import LIVELY
from tests.concurrency.petitions import create_petitions
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import petition_service
from tests.postgres import new_cluster, scratch_database, session_folder, with_database

TEMPLATE = "tally_template"


@pytest.fixture(scope="session")
def durable_cluster() -> Iterator[Cluster]:
    """Durable, so that a kill of it proves something; migrated once into a template."""
    state = session_folder() / f"cluster-chaos-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    cluster = new_cluster(state)
    try:
        cluster.start()
        cluster.ensure_database(TEMPLATE)
        upgrade(cluster.url(TEMPLATE))
        yield cluster
    finally:
        cluster.destroy()
        remove_home(state)


@contextmanager
def database_on(cluster: Cluster) -> Iterator[str]:
    """The URL of a migrated database on the cluster, which runs."""
    if not cluster.answers():
        cluster.start()
    name = f"chaos_{uuid.uuid4().hex}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    yield with_database(cluster.url(), name)
    if cluster.answers():
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def chaos_database(durable_cluster: Cluster) -> Iterator[str]:
    """Of the test's own."""
    with database_on(durable_cluster) as url:
        yield url


@pytest.fixture
def scene(durable_cluster: Cluster, chaos_database: str, seed: str, tmp_path: Path) -> Iterator[Scene[Attempt]]:
    """Signers of two petitions."""
    with petition_service(chaos_database, tmp_path / "petition.log", lock_timeout="0.5", drain_seconds="5") as service:
        petitions = create_petitions(service.address, 2, thresholds=[1, *(50 * 2**n for n in range(12))])
        plan = Plan([service.address], petitions, seed, callers=CALLERS, users=100_000, items=10, weights=dict(LIVELY))
        exact = partial(assert_exact, chaos_database, petitions)
        yield Scene(durable_cluster, chaos_database, service, plan, tmp_path, Attempt, exact)


@pytest.fixture(scope="module")
def own_database(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    """For all tests of a file, on the session's server."""
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(own_database: str) -> Iterator[CommitProxy]:
    """In front of it."""
    proxy = CommitProxy(own_database)
    yield proxy
    proxy.close()


@pytest.fixture
def seed() -> str:
    """What all requests of a test are drawn from. TALLY_SEED repeats those of an earlier run, whose report names it."""
    chosen = os.environ.get("TALLY_SEED") or str(random.randrange(10**9))
    print(f"TALLY_SEED={chosen}")
    return chosen
