"""Whether everything that claimants did left coupons and food exact."""

import asyncio
from dataclasses import dataclass, field

from libs.cli.verify import compare
from tests.concurrency.claims.attempts import ClaimsHistory
from tests.concurrency.claims.coupon_checker import assert_coupons_exact
from tests.concurrency.claims.food_checker import assert_food_exact
from tests.concurrency.claims.stored_coupons import StoredCoupon
from tests.concurrency.claims.stored_food import StoredPost


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of what there was to claim."""

    coupons: dict[str, StoredCoupon] = field(default_factory=dict)
    posts: dict[str, StoredPost] = field(default_factory=dict)


def assert_claims_exact(url: str, coupon_names: list[str], food_posts: list[str], history: ClaimsHistory) -> Stored:
    """Fails with every violation found in the history, and for every counter of the database that differs from its rows."""
    stored = Stored(assert_coupons_exact(url, coupon_names, history), assert_food_exact(url, food_posts, history))
    survey = asyncio.run(compare(url, None, []))
    assert survey.found == 0, survey.model_dump_json(indent=1)
    return stored
