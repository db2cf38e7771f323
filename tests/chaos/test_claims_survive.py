"""Postgres, its connections, its rows, the service or its callers fail while coupons and food are claimed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from libs.devstack.postgres import Cluster
from tests.chaos.conftest import database_on
from tests.chaos.scene import CALLERS, Scene
from tests.chaos.troubles import (
    DATABASE_TROUBLE,
    cross_locks,
    kill_backend,
    kill_postmaster,
    stall_a_writer,
    stand_still,
    storm,
)
from tests.concurrency.claims.attempts import ClaimsAttempt
from tests.concurrency.claims.exact import assert_claims_exact
from tests.concurrency.claims.mix import EVERYTHING, IMPATIENT
from tests.concurrency.claims.supply import create_coupons, create_food_posts
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess, claims_service
from tests.unit.devstack.waiting import wait_until

LIMITS = {"lock_timeout": "0.5", "statement_timeout": "1"}
LOCK_A_COUPON = "SELECT FROM claims.coupons WHERE name = %s FOR UPDATE"
HOLDS = {"claims_hold_seconds": "0.5", "claims_expiry_seconds": "0.1"}


@pytest.fixture(scope="module")
def database(durable_cluster: Cluster) -> Iterator[str]:
    with database_on(durable_cluster) as url:
        with psycopg.connect(durable_cluster.url("postgres"), autocommit=True) as server:
            # Sooner than a lock is given up for, so that a deadlock is met as one.
            name = sql.Identifier(url.rpartition("/")[2])
            server.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '200ms'").format(name))
        yield url


@pytest.fixture(scope="module")
def service(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests of this file: what broke under one of them must not be felt by the next."""
    with claims_service(database, tmp_path_factory.mktemp("claims") / "claims.log", **LIMITS, **HOLDS) as service:
        yield service


@pytest.fixture
def scene(
    durable_cluster: Cluster, database: str, service: ServiceProcess, seed: str, tmp_path: Path
) -> Scene[ClaimsAttempt]:
    """Claimants of coupons that run out and come back, and of food whose holds end; all of them the test's own."""
    coupons = create_coupons(service.address, 3, amount=50)
    posts = create_food_posts(service.address, 2, portions=200)
    plan = Plan(
        [service.address],
        coupons,
        seed,
        players="claimants",
        food_posts=posts,
        callers=CALLERS,
        users=20_000,
        items=10,
        weights=dict(EVERYTHING),
    )
    exact = partial(assert_claims_exact, database, coupons, posts)
    return Scene(durable_cluster, database, service, plan, tmp_path, ClaimsAttempt, exact)


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.heavy)])
def test_a_killed_postmaster_loses_no_acknowledged_claim_and_sells_nothing_twice(
    scene: Scene[ClaimsAttempt], times: int
) -> None:
    """G1, G2, G4, G5, C10: kill -9 in mid-burst; the service works again by itself once Postgres is back."""
    with scene.load() as callers:
        for _ in range(times):
            kill_postmaster(scene.cluster)
            callers.wait_for(50)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"
    assert scene.service.running


def test_a_killed_service_loses_no_acknowledged_claim_and_sells_nothing_twice(scene: Scene[ClaimsAttempt]) -> None:
    """G1, G2, G4, G5, C10: kill -9 in mid-burst; callers repeat their requests when it is back."""
    with scene.load() as callers:
        scene.service.kill()
        scene.service.start()
        history = scene.finish(callers)
    assert any(attempt.code == "UNAVAILABLE" for attempt in history), "nobody noticed"


def test_a_killed_backend_loses_no_acknowledged_claim_and_sells_nothing_twice(scene: Scene[ClaimsAttempt]) -> None:
    """G1, G2, G4, G5, C10: Postgres takes it for a crash, drops everybody and recovers."""
    with scene.load() as callers:
        kill_backend(scene.database_url)
        callers.wait_for(1)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"
    assert scene.service.running


def test_a_deadlock_in_mid_burst_loses_no_acknowledged_claim_and_sells_nothing_twice(
    scene: Scene[ClaimsAttempt],
) -> None:
    """G1, G2, G4, G5, C10: a real one, with somebody who locks coupons in the opposite order; the transaction that Postgres
    ends for it, with everybody's claims in it, is run again."""
    met = scene.service.logs_more("transaction_repeated")
    with scene.load() as callers:
        cross_locks(scene.database_url, LOCK_A_COUPON, sorted(scene.plan.resources), met)
        scene.finish(callers)


@pytest.mark.parametrize("seconds", [0.5, pytest.param(4.0, marks=pytest.mark.heavy)])
def test_a_storm_of_terminated_connections_loses_no_acknowledged_claim_and_sells_nothing_twice(
    scene: Scene[ClaimsAttempt], seconds: float
) -> None:
    """G1, G2, G4, G5, C10: every connection is cut every 50 ms, those that end holds and tell what is sold out, too."""
    noticed = scene.service.logs_more("database_error")
    with scene.load() as callers:
        storm(scene.cluster, scene.database_url, seconds, at_least=6, noticed=noticed)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


def test_a_writer_that_stands_still_with_its_locks_sells_nothing_twice(scene: Scene[ClaimsAttempt]) -> None:
    """G1, G2, G4, G5, C10: a disk that is slow for one transaction, for longer than any time limit; it may go on after the
    service has given it up."""
    noticed = scene.service.logs_more("database_error")
    with scene.load() as callers:
        stall_a_writer(scene.database_url, 2.5, noticed)
        scene.finish(callers)


@pytest.mark.heavy
def test_a_database_that_stands_still_sells_nothing_twice(scene: Scene[ClaimsAttempt]) -> None:
    """G1, G2, G4, C10: all of Postgres is stopped for longer than every time limit."""
    with scene.load() as callers:
        stand_still(scene.cluster, 4.0)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


@pytest.mark.heavy
def test_a_coupon_locked_from_outside_for_too_long_is_answered_and_nothing_of_it_is_stored(
    scene: Scene[ClaimsAttempt],
) -> None:
    """G1, G2, G4, C10: callers are told that nothing was stored instead of waiting for ever, and claiming goes on after."""
    with scene.load() as callers, psycopg.connect(scene.database_url) as outsider:
        outsider.execute(LOCK_A_COUPON, scene.plan.resources[:1])
        wait_until(scene.service.logs_more("database_error", 2))
        outsider.rollback()
        history = scene.finish(callers)
    assert "DATABASE_UNAVAILABLE" in {attempt.reason for attempt in history}


@pytest.mark.heavy
def test_claimants_who_cancel_or_have_one_millisecond_disturb_nobody(scene: Scene[ClaimsAttempt]) -> None:
    """G1, G2, G4, G5, C10: a transaction that others share goes on without them; they learn its outcome by asking again."""
    with scene.load(dict(IMPATIENT)) as callers:
        callers.wait_for(300)
        history = scene.finish(callers)
    codes = [attempt.code for attempt in history]
    assert codes.count("CANCELLED") > 10 and codes.count("DEADLINE_EXCEEDED") > 10
    refused = {"ALREADY_EXISTS", "FAILED_PRECONDITION"}
    assert {a.code for a in history} - refused == {"OK", "CANCELLED", "DEADLINE_EXCEEDED"}
