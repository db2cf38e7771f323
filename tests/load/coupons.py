"""Coupons for a benchmark: Tally's and the textbook's, and whether each was given out exactly as often as it was there."""

from typing import Any
from uuid import uuid4

import psycopg

AMPLE = 2**31 - 1
FEW = 50

TEXTBOOK_COUPONS = """
CREATE TABLE textbook.coupons (name text PRIMARY KEY, remaining integer NOT NULL CHECK (remaining >= 0))
    WITH (fillfactor = 70);
CREATE TABLE textbook.claims (
    coupon_name  text        NOT NULL REFERENCES textbook.coupons,
    user_id      uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    claimed_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (coupon_name, user_id)
);
"""
NEW = "INSERT INTO claims.coupons (name, amount, remaining_amount) VALUES (%s, %s, %s)"
NEW_TEXTBOOK = "INSERT INTO textbook.coupons VALUES (%s, %s)"
# What claiming one by one would have left behind.
CLAIM_ALL = """
WITH given AS (
    INSERT INTO claims.claims (coupon_name, user_id, ordinal, remaining_amount, request_id, claimed_time)
    SELECT name, gen_random_uuid(), n, amount - n, gen_random_uuid(), clock_timestamp()
    FROM claims.coupons, generate_series(1, amount) n WHERE name = %(name)s
)
UPDATE claims.coupons SET remaining_amount = 0, claim_count = amount, version = 1 WHERE name = %(name)s
"""
STANDING = """
SELECT c.claim_count, (SELECT count(*) FROM claims.claims WHERE coupon_name = c.name), c.amount - c.remaining_amount
FROM claims.coupons c WHERE c.name = %s
"""
TEXTBOOK_STANDING = """
SELECT (SELECT count(*) FROM textbook.claims WHERE coupon_name = %(name)s), %(amount)s - c.remaining
FROM textbook.coupons c WHERE c.name = %(name)s
"""
EMPTY = "TRUNCATE claims.coupons, claims.claims, claims.waitlist, textbook.coupons, textbook.claims"


class Coupons:
    """Those of a database."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def empty(self) -> None:
        self._connection.execute(EMPTY)

    def new(self, amount: int) -> str:
        name = f"a loaf of bread {uuid4()}"
        self._connection.execute(NEW, [name, amount, amount])
        return name

    def sold_out(self) -> str:
        name = self.new(FEW)
        self._connection.execute(CLAIM_ALL, {"name": name})
        return name

    def textbook(self, amount: int) -> str:
        name = f"a loaf of bread {uuid4()}"
        self._connection.execute(NEW_TEXTBOOK, [name, amount])
        return name

    def given_out(self, name: str) -> tuple[int, ...]:
        """How many of a coupon, by its counter, its rows and its stock: three times the same."""
        return self._one(STANDING, [name])

    def textbook_given_out(self, name: str, amount: int) -> tuple[int, ...]:
        return self._one(TEXTBOOK_STANDING, {"name": name, "amount": amount})

    def _one(self, statement: str, arguments: Any) -> tuple[int, ...]:
        row: Any = self._connection.execute(statement.encode(), arguments).fetchone()
        return tuple(row)
