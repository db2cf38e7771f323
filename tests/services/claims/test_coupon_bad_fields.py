"""Each bad field of each RPC of coupons is named and nothing is stored; the good values next to the bad are taken (G9)."""

from typing import Any

import pytest

from tests.bad_fields import BLANK, CONTROL, LINE_BREAKS, NOT_A_UUID, call, is_refused_naming, with_field
from tests.servers import refusal, refused
from tests.services.claims.coupon_calls import READS, WRITES, a_world
from tests.services.claims.coupons import MOST, Coupons, a_claim, a_creation, became_of, coupons_add_up
from tests.services.petition.people import new_uuid
from tests.stored import Connection, everything

ALL = WRITES | READS
SQL = "'; DROP TABLE claims.coupons; --"

UUID_FIELDS = {
    "CreateCoupon": ["request_id"],
    "RestockCoupon": ["request_id"],
    "ClaimCoupon": ["user_id", "request_id"],
    "JoinWaitlist": ["user_id", "request_id"],
}
NAME_FIELDS = {
    "CreateCoupon": "name",
    "GetCoupon": "name",
    "RestockCoupon": "coupon_name",
    "ClaimCoupon": "coupon_name",
    "ListCouponClaims": "coupon_name",
    "JoinWaitlist": "coupon_name",
}
AMOUNT_FIELDS = ["CreateCoupon", "RestockCoupon"]
each_uuid = pytest.mark.parametrize(
    ("rpc", "field"), [(rpc, name) for rpc, names in UUID_FIELDS.items() for name in names]
)
each_name = pytest.mark.parametrize(("rpc", "field"), NAME_FIELDS.items())

BAD_NAMES = (
    BLANK
    | CONTROL
    | LINE_BREAKS
    | {
        "only a NUL": "\x00",
        "only an invisible character": "\u200b",
        "SQL with a NUL": f"{SQL}\x00",
        "256 characters": "x" * 256,
        "256 characters, blanks among them": f" {'x' * 254} ",
        "256 emoji": "\U0001f34e" * 256,
        "128 decomposed letters": "e\u0301" * 128,
        "a megabyte": "x" * 2**20,
    }
)
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


@each_uuid
async def test_what_is_no_uuid_is_named(coupons: Coupons, db: Connection, rpc: str, field: str) -> None:
    """G9."""
    world = await a_world(coupons)
    for text in NOT_A_UUID.values():
        await is_refused_naming(coupons, db, rpc, with_field(ALL[rpc](world), field, text), field)


@each_uuid
async def test_a_uuid_in_upper_case_is_taken(coupons: Coupons, rpc: str, field: str) -> None:
    request: Any = ALL[rpc](await a_world(coupons))
    await call(coupons, rpc, with_field(request, field, getattr(request, field).upper()))


@each_name
async def test_what_is_no_name_is_named(coupons: Coupons, db: Connection, rpc: str, field: str) -> None:
    """G9: not stored, and not looked for either."""
    world = await a_world(coupons)
    for name in BAD_NAMES.values():
        await is_refused_naming(coupons, db, rpc, with_field(ALL[rpc](world), field, name), field)


@pytest.mark.parametrize("name", GOOD_NAMES.values(), ids=GOOD_NAMES)
async def test_a_name_up_to_the_bound_is_taken_by_every_rpc_and_stored_as_it_was_written(
    coupons: Coupons, db: Connection, name: str
) -> None:
    """G9: whatever it would mean to a database."""
    assert (await coupons.stub.CreateCoupon(a_creation(name, 1))).coupon.name == name
    user, waits = new_uuid(), new_uuid()
    assert (await coupons.claim(name, user)).claim.coupon_name == name
    assert await became_of(coupons.claim(name)) == "OUT_OF_STOCK"
    assert (await coupons.join(name, waits)).place.coupon_name == name
    assert (await coupons.restock(name, 2)).coupon.name == name
    assert await coupons.claims(name) == [(1, user), (2, waits)]
    assert (await coupons.get(name)).remaining_amount == 1
    for table, column in (("coupons", "name"), ("claims", "coupon_name"), ("waitlist", "coupon_name")):
        assert {row[0] for row in await db.fetch(f"SELECT {column} FROM claims.{table}")} == {name}
    assert {row[0] for row in await db.fetch("SELECT aggregate_id FROM operations.events")} == {name}
    await coupons_add_up(db)


@pytest.mark.parametrize("rpc", [rpc for rpc in NAME_FIELDS if rpc != "CreateCoupon"])
async def test_a_name_is_looked_for_as_it_is_written(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9: nothing that would find another coupon, or all of them, finds one."""
    world = await a_world(coupons)
    before = await everything(db)
    for name in (SQL, "%", "' OR '1'='1", "_" * len(world.plenty), f"{world.plenty} ", world.plenty.upper()):
        answer = await refused(call(coupons, rpc, with_field(ALL[rpc](world), NAME_FIELDS[rpc], name)))
        assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND"), name
    assert await everything(db) == before


@pytest.mark.parametrize("rpc", AMOUNT_FIELDS)
async def test_amounts_begin_at_1(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9."""
    world = await a_world(coupons)
    for amount in (0, -1, -MOST, -MOST - 1):
        await is_refused_naming(coupons, db, rpc, with_field(ALL[rpc](world), "amount", amount), "amount")
    await call(coupons, rpc, with_field(ALL[rpc](world), "amount", 1))


@pytest.mark.parametrize("rpc", ["ListCoupons", "ListCouponClaims"])
async def test_page_sizes_go_from_0_to_1000(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9."""
    world = await a_world(coupons)
    for size in (-1, -(2**31), 1001, 2**31 - 1):
        await is_refused_naming(coupons, db, rpc, with_field(READS[rpc](world), "page_size", size), "page_size")
    for size in (0, 1, 1000):
        await call(coupons, rpc, with_field(READS[rpc](world), "page_size", size))


@pytest.mark.parametrize("rpc", ["ListCoupons", "ListCouponClaims"])
async def test_a_page_token_of_more_than_2000_characters_is_refused(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9."""
    request = with_field(READS[rpc](await a_world(coupons)), "page_token", "x" * 2001)
    await is_refused_naming(coupons, db, rpc, request, "page_token")


@pytest.mark.parametrize("rpc", [rpc for rpc in ALL if rpc != "ListCoupons"])
async def test_an_empty_request_names_every_field_that_is_needed(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9: all of them in one answer."""
    request = type(ALL[rpc](await a_world(coupons)))()
    needed = [*UUID_FIELDS.get(rpc, []), *([NAME_FIELDS[rpc]] if rpc in NAME_FIELDS else [])]
    needed += ["amount"] if rpc in AMOUNT_FIELDS else []
    before = await everything(db)
    answer = await refused(call(coupons, rpc, request))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert sorted(answer.fields) == sorted(needed or ["requests"])
    assert await everything(db) == before


async def test_an_item_of_a_batch_is_as_bad_as_alone(coupons: Coupons, db: Connection) -> None:
    """G9: in the same fields, with its place in the batch."""
    name = await coupons.create(10)
    items = [a_claim(text) for text in BAD_NAMES.values() if len(text) < 2**20]
    items += [a_claim(name, "x"), with_field(a_claim(name), "request_id", SQL)]
    expected = [[f"requests[{n}].coupon_name"] for n in range(len(items) - 2)]
    expected += [[f"requests[{len(items) - 2}].user_id"], [f"requests[{len(items) - 1}].request_id"]]
    before = await everything(db)
    assert [refusal(result.error).fields for result in await coupons.claim_each(*items)] == expected
    assert await everything(db) == before
