"""Hundreds of claimants on two coupons and on one food post, through two services, every answer of theirs kept and compared."""

from pathlib import Path

import psycopg

from tests.concurrency.callers import calling
from tests.concurrency.claims.attempts import ClaimsAttempt
from tests.concurrency.claims.exact import assert_claims_exact
from tests.concurrency.claims.mix import COUPONS, FOOD
from tests.concurrency.claims.supply import create_coupons, create_food_posts
from tests.concurrency.plan import Plan
from tests.concurrency.stage import Stage
from tests.unit.devstack.waiting import wait_until


def test_200_claimants_of_two_coupons_that_run_out_and_come_back_are_told_the_truth(
    claims_stage: Stage, seed: str, tmp_path: Path
) -> None:
    """G1, G2, G4, G5, C7, C8: nobody twice, never more than stock at any commit, no gap, first come first served."""
    coupons = create_coupons(claims_stage.addresses[0], 2, amount=10)
    plan = Plan(
        claims_stage.addresses,
        coupons,
        seed,
        players="claimants",
        callers=200,
        operations=5,
        users=200,
        weights=COUPONS,
    )
    with calling(plan, tmp_path) as callers:
        history = callers.history_of(ClaimsAttempt)
    stored = assert_claims_exact(claims_stage.database_url, coupons, [], history).coupons
    reasons = {a.reason for a in history}
    assert {"OUT_OF_STOCK", "ALREADY_CLAIMED"} <= reasons <= {"", "OUT_OF_STOCK", "ALREADY_CLAIMED", "ALREADY_WAITING"}
    assert any(a.replayed for a in history)
    assert all(coupon.places and coupon.places[0].served for coupon in stored.values()), "nobody waited"
    assert claims_stage.trouble() == []


def test_portions_whose_holds_end_under_claimants_go_back_once(claims_stage: Stage, seed: str, tmp_path: Path) -> None:
    """G2, G4, C4: two services look for holds that are over while both sides confirm and cancel, and others claim."""
    posts = create_food_posts(claims_stage.addresses[0], 3, portions=100)
    plan = Plan(
        claims_stage.addresses, [], seed, players="claimants", food_posts=posts, callers=32, users=2_000, weights=FOOD
    )
    with calling(plan, tmp_path) as callers:
        callers.work(1.3)
        history = callers.history_of(ClaimsAttempt)
    with psycopg.connect(claims_stage.database_url, autocommit=True) as connection:
        pending = "SELECT FROM claims.exchanges WHERE food_id = ANY(%s::uuid[]) AND status = 'pending' LIMIT 1"
        wait_until(lambda: connection.execute(pending, [posts]).fetchone() is None, 20.0)
    stored = assert_claims_exact(claims_stage.database_url, [], posts, history).posts
    ends = {exchange.status for post in stored.values() for exchange in post.exchanges.values()}
    assert ends == {"confirmed", "completed", "cancelled", "expired"}
    assert all(post.held == 0 for post in stored.values())
    reasons = {a.reason for a in history}
    assert reasons >= {"HOLD_EXPIRED", "EXCHANGE_ENDED", "OUT_OF_STOCK"}, "nobody was too late"
    assert claims_stage.trouble() == []
