"""Claiming and lining up, for everybody who is waiting, in one transaction (G1, G2, G4, G5)."""

from collections.abc import Sequence

from libs.data.catalog.claims import COUPON_POSITIONS, COUPON_WAITING, COUPONS
from libs.data.commit_tokens import encode_token
from libs.data.stock import settle
from libs.data.tables import Locked, Table
from libs.data.transaction import Transaction
from services.claims.coupons import rules
from services.claims.coupons.model import Claim, Command, Place


async def claim_and_join(tx: Transaction, commands: Sequence[Command], most_waiting: int) -> list[rules.Outcome]:
    """One outcome a command, in order."""
    coupons, seen = await lock_and_look_up(tx, commands)
    decision = rules.decide(coupons.rows, seen, commands, most_waiting)
    insert_claims(tx, decision.claims)
    insert_places(tx, decision.places)
    settle(tx, decision.shelf)
    tx.increment(COUPON_WAITING, decision.joined)
    tx.increment(COUPON_POSITIONS, decision.joined)
    return decision.outcomes


# Two probes of an index a command, in one round trip.
LOOK_UP = """
SELECT c.coupon_name AS name, c.user_id, c.ordinal, c.remaining_amount, c.request_id, c.claimed_time,
       c.commit_xid::text::bigint AS xid, false AS waits
FROM unnest($1::text[], $2::uuid[]) AS wanted(coupon_name, user_id)
JOIN claims.claims c USING (coupon_name, user_id)
UNION ALL
SELECT w.coupon_name, w.user_id, w.position, NULL, w.request_id, w.joined_time, w.commit_xid::text::bigint, true
FROM unnest($1::text[], $2::uuid[]) AS wanted(coupon_name, user_id)
JOIN claims.waitlist w USING (coupon_name, user_id)
"""


async def lock_and_look_up(tx: Transaction, commands: Sequence[Command]) -> tuple[Locked[Table], rules.Seen]:
    """The commands' coupons, locked, and what is stored about their users."""
    claimants = {(c.coupon_name, c.user_id): None for c in commands}
    coupons, rows = await tx.lock_and_read(
        COUPONS,
        {name for name, _ in claimants},
        LOOK_UP,
        [name for name, _ in claimants],
        [user_id for _, user_id in claimants],
    )
    seen = rules.Seen()
    for name, user_id, number, remaining_amount, request_id, time, xid, waits in rows:
        token = encode_token(xid)
        if waits:
            seen.places[name, user_id] = Place(name, user_id, number, request_id, time, token)
        else:
            seen.claims[name, user_id] = Claim(name, user_id, number, remaining_amount, request_id, time, token)
    return coupons, seen


INSERT_CLAIMS = """
INSERT INTO claims.claims (coupon_name, user_id, ordinal, remaining_amount, request_id, claimed_time)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::integer[], $5::uuid[], $6::timestamptz[])
"""


def insert_claims(tx: Transaction, claims: Sequence[Claim]) -> None:
    if not claims:
        return
    tx.write_last(
        INSERT_CLAIMS,
        [c.coupon_name for c in claims],
        [c.user_id for c in claims],
        [c.ordinal for c in claims],
        [c.remaining_amount for c in claims],
        [c.request_id for c in claims],
        [c.claimed_time for c in claims],
        rows=len(claims),
    )


INSERT_PLACES = """
INSERT INTO claims.waitlist (coupon_name, user_id, position, request_id, joined_time)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::uuid[], $5::timestamptz[])
"""


def insert_places(tx: Transaction, places: Sequence[Place]) -> None:
    if not places:
        return
    tx.write_last(
        INSERT_PLACES,
        [p.coupon_name for p in places],
        [p.user_id for p in places],
        [p.position for p in places],
        [p.request_id for p in places],
        [p.joined_time for p in places],
        rows=len(places),
    )
