"""Postgres is killed, cut off, stopped or locked under load."""

import signal
import time

import psutil
import psycopg
import pytest

from libs.devstack import leftovers
from tests.chaos.scene import Scene
from tests.unit.devstack.waiting import wait_until

DATABASE_TROUBLE = {"DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"}


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.heavy)])
def test_a_killed_postmaster_loses_no_acknowledged_signature(scene: Scene, times: int) -> None:
    """G1, G2: kill -9 of Postgres under load; the service answers again by itself once Postgres is back."""
    with scene.load() as callers:
        for _ in range(times):
            scene.cluster.kill9()
            scene.cluster.start()
            callers.wait_for(50)
        history = scene.finish(callers)
    reasons = {attempt.reason for attempt in history}
    assert reasons & DATABASE_TROUBLE, "nobody noticed"
    assert scene.service.running


def test_a_killed_backend_loses_no_acknowledged_signature(scene: Scene) -> None:
    """G1, G2, G5: Postgres takes it for a crash, drops everybody and recovers, saying so to whoever connects meanwhile."""
    with scene.load() as callers:
        with psycopg.connect(scene.database_url) as connection:
            backend = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tally' "
                "ORDER BY state_change DESC"
            ).fetchone()
        assert backend is not None
        psutil.Process(backend[0]).kill()
        callers.wait_for(1)
        history = scene.finish(callers)
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


@pytest.mark.parametrize("seconds", [3.0, pytest.param(12.0, marks=pytest.mark.heavy)])
def test_a_storm_of_terminated_connections_loses_no_acknowledged_signature(scene: Scene, seconds: float) -> None:
    """G1, G2, G5: every connection of the service is cut every 50 ms, in the middle of whatever it does."""
    terminated = 0
    with scene.load() as callers, psycopg.connect(scene.cluster.url("postgres"), autocommit=True) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            cut = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = %s AND application_name = 'tally'",
                [scene.database_url.rpartition("/")[2]],
            ).fetchone()
            assert cut is not None
            terminated += cut[0]
            time.sleep(0.05)
        history = scene.finish(callers)
    assert terminated > 10
    assert {attempt.reason for attempt in history} & DATABASE_TROUBLE, "nobody noticed"


@pytest.mark.parametrize("seconds", [2.0, pytest.param(15.0, marks=pytest.mark.heavy)])
def test_a_database_that_stands_still_loses_no_acknowledged_signature(scene: Scene, seconds: float) -> None:
    """G1, G2: all of Postgres is stopped, as by a disk that hangs, for less and for more than every time limit."""
    with scene.load() as callers:
        everything = leftovers.postgres_processes(scene.cluster.data)
        try:
            for process in everything:
                process.suspend()
            wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in everything))
            time.sleep(seconds)
        finally:
            for process in everything:
                process.send_signal(signal.SIGCONT)
        scene.finish(callers)


def test_a_row_locked_from_outside_for_too_long_is_answered_and_forgotten(scene: Scene) -> None:
    """G1, G2: callers are told that nothing was stored instead of waiting for ever, and signing goes on after the lock."""
    with scene.load() as callers, psycopg.connect(scene.database_url) as outsider:
        outsider.execute(
            "SELECT FROM petition.petition_submissions WHERE petition_id = %s FOR UPDATE", scene.petitions[:1]
        )
        refused = len(scene.service.logged("database_error"))
        wait_until(lambda: len(scene.service.logged("database_error")) >= refused + 2)
        outsider.rollback()
        history = scene.finish(callers)
    assert "DATABASE_UNAVAILABLE" in {attempt.reason for attempt in history}
