"""Postgres is killed, cut off, stopped or locked under load."""

import psycopg
import pytest

from tests.chaos.scene import Scene
from tests.chaos.troubles import DATABASE_TROUBLE, kill_backend, kill_postmaster, stand_still, storm
from tests.concurrency.history import Attempt
from tests.unit.devstack.waiting import wait_until


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.heavy)])
def test_a_killed_postmaster_loses_no_acknowledged_signature(scene: Scene[Attempt], times: int) -> None:
    """G1, G2: kill -9 of Postgres under load; the service answers again by itself once Postgres is back."""
    with scene.load() as callers:
        for _ in range(times):
            kill_postmaster(scene.cluster)
            callers.wait_for(50)
        history = scene.finish(callers)
    reasons = {attempt.reason for attempt in history}
    assert reasons & DATABASE_TROUBLE, "nobody noticed"
    assert scene.service.running


@pytest.mark.heavy
def test_a_killed_backend_loses_no_acknowledged_signature(scene: Scene[Attempt]) -> None:
    """G1, G2, G5: Postgres takes it for a crash, drops everybody and recovers, saying so to whoever connects meanwhile."""
    with scene.load() as callers:
        kill_backend(scene.database_url)
        callers.wait_for(1)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [12.0])
def test_a_storm_of_terminated_connections_loses_no_acknowledged_signature(
    scene: Scene[Attempt], seconds: float
) -> None:
    """G1, G2, G5: every connection of the service is cut every 50 ms, in the middle of whatever it does."""
    noticed = scene.service.logs_more("database_error")
    with scene.load() as callers:
        storm(scene.cluster, scene.database_url, seconds, at_least=11, noticed=noticed)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [15.0])
def test_a_database_that_stands_still_loses_no_acknowledged_signature(scene: Scene[Attempt], seconds: float) -> None:
    """G1, G2: all of Postgres is stopped, as by a disk that hangs, for less and for more than every time limit."""
    with scene.load() as callers:
        stand_still(scene.cluster, seconds)
        scene.finish(callers)


def test_a_row_locked_from_outside_for_too_long_is_answered_and_forgotten(scene: Scene[Attempt]) -> None:
    """G1, G2: callers are told that nothing was stored instead of waiting for ever, and signing goes on after the lock."""
    with scene.load() as callers, psycopg.connect(scene.database_url) as outsider:
        outsider.execute(
            "SELECT FROM petition.petition_submissions WHERE petition_id = %s FOR UPDATE", scene.plan.resources[:1]
        )
        wait_until(scene.service.logs_more("database_error", 2))
        outsider.rollback()
        history = scene.finish(callers)
    assert "DATABASE_UNAVAILABLE" in {attempt.reason for attempt in history}
