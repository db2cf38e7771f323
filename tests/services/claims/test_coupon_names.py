"""Names of coupons are taken, stored and looked for as they are written (G9)."""

import pytest

from tests.bad_fields import call, with_field
from tests.servers import refused
from tests.services.claims.coupon_calls import READS, WRITES, a_world
from tests.services.claims.coupons import Coupons, a_creation, became_of, coupons_add_up
from tests.services.petition.people import new_uuid
from tests.stored import Connection, everything

ALL = WRITES | READS
SQL = "'; DROP TABLE claims.coupons; --"
NAME_FIELDS = {
    "GetCoupon": "name",
    "RestockCoupon": "coupon_name",
    "ClaimCoupon": "coupon_name",
    "ListCouponClaims": "coupon_name",
    "JoinWaitlist": "coupon_name",
}
GOOD_NAMES = {
    "1 character": "x",
    "1 emoji": "\U0001f34e",
    "a family of 7 code points": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "a letter and what belongs over it": "e\u0301",
    "255 characters": "x" * 255,
    "255 emoji": "\U0001f34e" * 255,
    "255 code points of decomposed letters": "e\u0301" * 127 + "e",
    "255 combining characters on one letter": "e" + "\u0301" * 254,
    "blanks around": " x ",
    "right to left": "\u05e7\u05d5\u05e4\u05d5\u05df",
    "an override": "\u202ex\u202c",
    "SQL": SQL,
    "parameters": "$1 %s %(name)s {0} :name ?",
    "backslashes": "\\'; \\x00 \\u0000",
    "a wildcard": "%",
    "a comment": "/* x */ --",
    "a number": "0",
    "a word of JSON": "null",
    "a uuid": "11111111-1111-4111-8111-111111111111",
}


async def test_a_name_up_to_the_bound_is_taken_by_every_rpc_and_stored_as_it_was_written(
    coupons: Coupons, db: Connection
) -> None:
    """G9: whatever it would mean to a database, and beside all the others."""
    for name in GOOD_NAMES.values():
        assert (await coupons.stub.CreateCoupon(a_creation(name, 1))).coupon.name == name
    for name in GOOD_NAMES.values():
        user, waits = new_uuid(), new_uuid()
        assert (await coupons.claim(name, user)).claim.coupon_name == name
        assert await became_of(coupons.claim(name)) == "OUT_OF_STOCK"
        assert (await coupons.join(name, waits)).place.coupon_name == name
        assert (await coupons.restock(name, 2)).coupon.name == name
        assert await coupons.claims(name) == [(1, user), (2, waits)]
        assert (await coupons.get(name)).remaining_amount == 1
    for table, column in (("coupons", "name"), ("claims", "coupon_name"), ("waitlist", "coupon_name")):
        rows = await db.fetch(f"SELECT {column} FROM claims.{table}")
        assert {row[0] for row in rows} == set(GOOD_NAMES.values())
    rows = await db.fetch("SELECT aggregate_id FROM operations.events")
    assert {row[0] for row in rows} == set(GOOD_NAMES.values())
    await coupons_add_up(db)


@pytest.mark.parametrize("rpc", NAME_FIELDS)
async def test_a_name_is_looked_for_as_it_is_written(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9: nothing that would find another coupon, or all of them, finds one."""
    world = await a_world(coupons)
    before = await everything(db)
    for name in (SQL, "%", "' OR '1'='1", "_" * len(world.plenty), f"{world.plenty} ", world.plenty.upper()):
        answer = await refused(call(coupons, rpc, with_field(ALL[rpc](world), NAME_FIELDS[rpc], name)))
        assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND"), name
    assert await everything(db) == before
