"""The counters of coupons and food posts."""

from libs.data.counters import CountedRows, Counter
from libs.data.stock import Stock
from libs.data.tables import Table

COUPONS = Table(
    name="claims.coupons",
    key="name",
    key_type="text",
    locked_columns=(
        "amount",
        "restocked_amount",
        "remaining_amount",
        "claim_count",
        "waiting_count",
        "last_position",
    ),
    aggregate="coupon",
)

_CLAIMS = CountedRows("claims.claims", ("coupon_name",))

COUPON_REMAINING = Counter(
    name="claims.coupon_remaining",
    description="How many of a coupon can still be claimed.",
    aggregate=COUPONS,
    column="remaining_amount",
    counts=_CLAIMS,
    remains_of="amount::bigint + restocked_amount",
)

COUPON_CLAIMS = Counter(
    name="claims.coupon_claims",
    description="Claims of a coupon.",
    aggregate=COUPONS,
    column="claim_count",
    counts=_CLAIMS,
)

# Grows with each delivery. A sum of amounts, so it counts no rows.
COUPON_RESTOCKED = Counter(
    name="claims.coupon_restocked",
    description="How many of a coupon were added after it was created.",
    aggregate=COUPONS,
    column="restocked_amount",
)

COUPON_WAITING = Counter(
    name="claims.coupon_waiting",
    description="People who wait for a coupon.",
    aggregate=COUPONS,
    column="waiting_count",
    counts=CountedRows("claims.waitlist", ("coupon_name",), where="served_time IS NULL"),
)

COUPON_POSITIONS = Counter(
    name="claims.coupon_positions",
    description="Places given out in a coupon's waitlist, those already served included.",
    aggregate=COUPONS,
    column="last_position",
    counts=CountedRows("claims.waitlist", ("coupon_name",)),
)

COUPON_STOCK = Stock(COUPON_REMAINING, (COUPON_CLAIMS,), put_in=COUPON_RESTOCKED)

FOOD_POSTS = Table(
    name="claims.food_posts",
    key="food_post_id",
    locked_columns=(
        "giver_id",
        "group_id",
        "status",
        "portions_remaining",
        "portions_held",
        "portions_claimed",
        "completed_count",
    ),
    aggregate="food_post",
)


def _exchanged(*statuses: str, quantity: str = "portions") -> CountedRows:
    wanted = ", ".join(f"'{status}'" for status in statuses)
    return CountedRows("claims.exchanges", ("food_id",), where=f"status IN ({wanted})", quantity=quantity)


PORTIONS_REMAINING = Counter(
    name="claims.portions_remaining",
    description="Portions of a food post that can be claimed.",
    aggregate=FOOD_POSTS,
    column="portions_remaining",
    counts=_exchanged("pending", "confirmed", "completed"),
    remains_of="portions",
)

PORTIONS_HELD = Counter(
    name="claims.portions_held",
    description="Portions of a food post's pending exchanges.",
    aggregate=FOOD_POSTS,
    column="portions_held",
    counts=_exchanged("pending"),
)

PORTIONS_CLAIMED = Counter(
    name="claims.portions_claimed",
    description="Portions of a food post's confirmed and completed exchanges.",
    aggregate=FOOD_POSTS,
    column="portions_claimed",
    counts=_exchanged("confirmed", "completed"),
)

EXCHANGES_COMPLETED = Counter(
    name="claims.exchanges_completed",
    description="Exchanges of a food post that were completed.",
    aggregate=FOOD_POSTS,
    column="completed_count",
    counts=_exchanged("completed", quantity=""),
)

FOOD_STOCK = Stock(PORTIONS_REMAINING, (PORTIONS_HELD, PORTIONS_CLAIMED))

CLAIMS_COUNTERS = (
    *COUPON_STOCK.counters,
    COUPON_WAITING,
    COUPON_POSITIONS,
    *FOOD_STOCK.counters,
    EXCHANGES_COMPLETED,
)
