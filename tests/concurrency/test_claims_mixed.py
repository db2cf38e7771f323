"""Everything claimants can do, through two services on one database."""

from pathlib import Path

import pytest

from tests.concurrency.callers import calling
from tests.concurrency.claims.attempts import ClaimsAttempt
from tests.concurrency.claims.exact import assert_claims_exact
from tests.concurrency.claims.mix import EVERYTHING
from tests.concurrency.claims.supply import create_coupons, create_food_posts
from tests.concurrency.plan import Plan
from tests.concurrency.stage import Stage

COUPON_REFUSALS = {"OUT_OF_STOCK", "ALREADY_CLAIMED", "ALREADY_WAITING"}
FOOD_REFUSALS = {
    "OUT_OF_STOCK",
    "ALREADY_CLAIMED",
    "HOLD_EXPIRED",
    "EXCHANGE_NOT_PENDING",
    "EXCHANGE_NOT_CONFIRMED",
    "EXCHANGE_ENDED",
}


@pytest.mark.parametrize("seconds", [1.5, pytest.param(60.0, marks=[pytest.mark.heavy, pytest.mark.timeout(240)])])
def test_20_coupons_and_food_posts_stay_exact_through_two_services(
    claims_stage: Stage, seed: str, tmp_path: Path, seconds: float
) -> None:
    """G1, G2, G4, G5, C10: claims, batches across coupons, restocking, lines, holds and their ends: no deadlock, no gap."""
    deadlocks = claims_stage.deadlocks()
    coupons = create_coupons(claims_stage.addresses[0], 10, amount=20)
    posts = create_food_posts(claims_stage.addresses[1], 10, portions=40)
    plan = Plan(
        claims_stage.addresses,
        coupons,
        seed,
        players="claimants",
        food_posts=posts,
        callers=32,
        users=20_000,
        weights=EVERYTHING,
    )
    with calling(plan, tmp_path, processes=2) as callers:
        callers.work(seconds)
        history = callers.history_of(ClaimsAttempt)
    assert_claims_exact(claims_stage.database_url, coupons, posts, history)
    assert {a.reason for a in history} <= {"", *COUPON_REFUSALS, *FOOD_REFUSALS}
    assert claims_stage.deadlocks() == deadlocks
    assert claims_stage.trouble() == []
