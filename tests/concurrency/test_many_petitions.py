"""Batches that cross many petitions in different orders, through two services on one database."""

from pathlib import Path

import pytest

from tests.concurrency.callers import calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.mix import CROSSING
from tests.concurrency.petitions import create_petitions
from tests.concurrency.plan import Plan
from tests.concurrency.stage import Stage


@pytest.mark.parametrize("operations", [8, pytest.param(40, marks=pytest.mark.heavy)])
def test_batches_that_cross_20_petitions_in_any_order_never_deadlock(
    stage: Stage, seed: str, tmp_path: Path, operations: int
) -> None:
    """G2, G3, G5, G9: locks are taken in one order whatever order a batch is in, so nobody waits in a circle."""
    deadlocks = stage.deadlocks()
    petitions = create_petitions(stage.addresses[0], 20, thresholds=[1, *range(10, 200, 10)])
    plan = Plan(
        stage.addresses, petitions, seed, callers=64, operations=operations, users=200, items=60, weights=CROSSING
    )
    with calling(plan, tmp_path, processes=2) as callers:
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)
    assert all(petition.co_signer_count for petition in stored.values())
    assert {attempt.reason for attempt in history} == {"", "ALREADY_SIGNED", "CO_SIGN_NOT_FOUND", "INVALID_FIELDS"}
    assert stage.deadlocks() == deadlocks
    assert stage.trouble() == []
