"""Creating coupons, and adding to their stock."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from libs.data.catalog.claims import COUPON_CLAIMS, COUPON_REMAINING, COUPON_RESTOCKED, COUPON_WAITING, COUPONS
from libs.data.events import Event
from libs.data.requests import Replay, Requests
from libs.data.stock import MOST_UNITS, settle
from libs.data.transaction import Record, Transaction
from services.claims.coupons import rules
from services.claims.coupons.errors import CouponExists, CouponNotFound, TooMuchStock
from services.claims.coupons.model import Claim, Coupon, Place, Restocked
from services.claims.coupons.store import insert_claims

CREATIONS = Requests("claims", "CreateCoupon", Coupon)
RESTOCKINGS = Requests("claims", "RestockCoupon", Restocked)

COLUMNS = "name, amount, restocked_amount, remaining_amount, claim_count, waiting_count, created_time"


def to_coupon(row: Record) -> Coupon:
    """From a row that begins with COLUMNS."""
    return Coupon(*row[:7])


CREATE = f"""
INSERT INTO claims.coupons (name, amount, remaining_amount) VALUES ($1, $2, $2)
ON CONFLICT (name) DO NOTHING
RETURNING {COLUMNS}
"""


async def create(tx: Transaction, name: str, amount: int, request_id: UUID) -> Coupon | Replay[Coupon]:
    replay = await CREATIONS.claim(tx, request_id, name, amount)
    if replay is not None:
        return replay
    row = await tx.fetchrow(CREATE, name, amount)
    if row is None:
        raise CouponExists(name)
    coupon = to_coupon(row)
    counters = {COUPON_REMAINING.name: {name: amount}, COUPON_CLAIMS.name: {name: 0}}
    tx.emit([Event("coupon.created", name, 0, {"counters": counters})])
    await CREATIONS.record(tx, request_id, coupon)
    return coupon


WAITING = """
SELECT coupon_name, user_id, position, request_id, joined_time FROM claims.waitlist
WHERE coupon_name = $1 AND served_time IS NULL
ORDER BY position
LIMIT $2
"""
SERVED = """
UPDATE claims.waitlist SET served_time = $3 WHERE coupon_name = $1 AND position = ANY($2::integer[])
"""
GET = f"SELECT {COLUMNS} FROM claims.coupons WHERE name = $1"


async def restock(tx: Transaction, name: str, amount: int, request_id: UUID) -> Restocked | Replay[Restocked]:
    replay = await RESTOCKINGS.claim(tx, request_id, name, amount)
    if replay is not None:
        return replay
    coupons = await tx.lock(COUPONS, [name])
    if name not in coupons:
        raise CouponNotFound(name)
    coupon = coupons.rows[name]
    possible = MOST_UNITS - coupon["amount"] - coupon["restocked_amount"]
    if amount > possible:
        raise TooMuchStock(name, possible)
    waiting = [Place(*row) for row in await tx.fetch(WAITING, name, amount)] if coupon["waiting_count"] else []
    shelf, claims = rules.serve(coupon, amount, waiting)
    stored = await tx.fetchrow(GET, name)
    assert stored is not None
    answer = Restocked(
        replace(
            to_coupon(stored),
            restocked_amount=shelf.units(COUPON_RESTOCKED, name),
            remaining_amount=shelf.remaining(name),
            claim_count=shelf.units(COUPON_CLAIMS, name),
            waiting_count=coupon["waiting_count"] - len(waiting),
        ),
        len(waiting),
    )
    if waiting:
        insert_claims(tx, claims)
        tx.write_last(SERVED, name, [p.position for p in waiting], coupon["locked_time"], rows=len(waiting))
        tx.emit(_served(claims, coupons.next_version(name)))
    settle(tx, shelf)
    tx.increment(COUPON_WAITING, {(name,): -len(waiting)})
    await RESTOCKINGS.record(tx, request_id, answer)
    return answer


def _served(claims: Sequence[Claim], version: int) -> list[Event]:
    """Tells who received what they waited for."""
    return [
        Event("coupon.waiting_served", c.coupon_name, version, {"user_id": str(c.user_id), "ordinal": c.ordinal})
        for c in claims
    ]
