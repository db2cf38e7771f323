"""A network that swallows everything between service and Postgres, without closing a connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import CommitProxy
from tests.concurrency.callers import calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.mix import LIVELY
from tests.concurrency.petitions import create_petitions
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import petition_service
from tests.unit.devstack.waiting import wait_until


@pytest.fixture
def proxy(database_url: str) -> Iterator[CommitProxy]:
    proxy = CommitProxy(database_url)
    yield proxy
    proxy.close()


@pytest.mark.heavy
def test_a_service_whose_connections_all_hang_answers_and_heals(
    proxy: CommitProxy, database_url: str, seed: str, tmp_path: Path
) -> None:
    """G1, G2, G5: waiting is bounded by time limits, and hung connections are replaced once the network is back."""
    limits = {"statement_timeout": "0.3", "lock_timeout": "0.3"}
    with petition_service(proxy.url, tmp_path / "petition.log", **limits) as service:
        petitions = create_petitions(service.address, 2, thresholds=[1, *(50 * 2**n for n in range(12))])
        plan = Plan(
            [service.address], petitions, seed, callers=64, users=100_000, items=10, weights=LIVELY, deadline=3.0
        )
        with calling(plan, tmp_path) as callers:
            callers.wait_for(200)
            proxy.swallow()
            wait_until(lambda: service.logged("not ready"), 30.0)
            wait_until(lambda: service.logged("database_error") or service.logged("commit_outcome_unknown"), 30.0)
            proxy.restore()
            callers.wait_for(200)
            callers.stop()
            history = callers.history()
    assert_exact(database_url, petitions, history)
    assert {attempt.code for attempt in history} & {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
