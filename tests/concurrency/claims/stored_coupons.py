"""What the database holds of a coupon, read in one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.concurrency.stored import EVENTS, Event


@dataclass(slots=True)
class Claim:
    """A row of the claims; `remaining` was left just after."""

    user_id: str
    ordinal: int
    remaining: int
    request_id: str
    xid: int


@dataclass(slots=True)
class Place:
    """A row of the waitlist."""

    user_id: str
    position: int
    request_id: str
    xid: int
    served: bool


@dataclass(slots=True)
class Restocking:
    """An answer that was stored of a request to add stock."""

    request_id: str
    xid: int
    restocked: int
    remaining: int
    claims: int
    waiting: int
    served: int


@dataclass(slots=True)
class StoredCoupon:
    """A coupon and everything that was written about it: claims by ordinal, places by position, events by version."""

    name: str
    amount: int
    restocked: int
    remaining: int
    claim_count: int
    waiting: int
    last_position: int
    version: int
    claims: list[Claim] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    restockings: list[Restocking] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


COUPONS = """
SELECT name, amount, restocked_amount AS restocked, remaining_amount AS remaining, claim_count, waiting_count AS waiting,
       last_position, version
FROM claims.coupons WHERE name = ANY(%s)
"""
CLAIMS = """
SELECT coupon_name AS name, user_id::text AS user_id, ordinal, remaining_amount AS remaining,
       request_id::text AS request_id, commit_xid::text::bigint AS xid
FROM claims.claims WHERE coupon_name = ANY(%s) ORDER BY ordinal
"""
PLACES = """
SELECT coupon_name AS name, user_id::text AS user_id, position, request_id::text AS request_id,
       commit_xid::text::bigint AS xid, served_time IS NOT NULL AS served
FROM claims.waitlist WHERE coupon_name = ANY(%s) ORDER BY position
"""
RESTOCKINGS = """
SELECT answer->'coupon'->>'name' AS name, request_id::text AS request_id, commit_xid::text::bigint AS xid,
       (answer->'coupon'->>'restocked_amount')::integer AS restocked,
       (answer->'coupon'->>'remaining_amount')::integer AS remaining,
       (answer->'coupon'->>'claim_count')::integer AS claims,
       (answer->'coupon'->>'waiting_count')::integer AS waiting,
       (answer->>'served_count')::integer AS served
FROM claims.requests WHERE answer->'coupon'->>'name' = ANY(%s)
"""


def read_coupons(url: str, names: Sequence[str]) -> dict[str, StoredCoupon]:
    """The coupons by name."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        wanted = [list(names)]
        stored = {row["name"]: StoredCoupon(**row) for row in connection.execute(COUPONS, wanted)}
        parts: tuple[tuple[str, str, Any], ...] = (
            (CLAIMS, "claims", Claim),
            (PLACES, "places", Place),
            (RESTOCKINGS, "restockings", Restocking),
        )
        for sql, name, kind in parts:
            for row in connection.execute(sql, wanted):
                getattr(stored[row.pop("name")], name).append(kind(**row))
        for row in connection.execute(EVENTS, wanted):
            stored[row.pop("aggregate_id")].events.append(Event(**row))
    return stored
