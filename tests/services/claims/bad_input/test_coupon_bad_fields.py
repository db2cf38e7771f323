"""Each bad field of each RPC of coupons is named and nothing is stored; the good values next to the bad are taken (G9)."""

from typing import Any

import grpc.aio
import pytest

from tests.bad_fields import (
    BLANK,
    CONTROL,
    LINE_BREAKS,
    NOT_A_UUID,
    are_refused_naming,
    call,
    is_refused_naming,
    with_field,
)
from tests.servers import refusal, refused
from tests.services.claims.coupon_calls import READS, WRITES, a_world
from tests.services.claims.coupons import MOST, Coupons, a_claim
from tests.stored import Connection, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@each_uuid
async def test_what_is_no_uuid_is_named(coupons: Coupons, db: Connection, rpc: str, field: str) -> None:
    """G9."""
    world = await a_world(coupons)
    requests = [with_field(ALL[rpc](world), field, text) for text in NOT_A_UUID.values()]
    await are_refused_naming(coupons, db, rpc, requests, field)


@each_uuid
async def test_a_uuid_in_upper_case_is_taken(coupons: Coupons, rpc: str, field: str) -> None:
    request: Any = ALL[rpc](await a_world(coupons))
    await call(coupons, rpc, with_field(request, field, getattr(request, field).upper()))


@each_name
async def test_what_is_no_name_is_named(coupons: Coupons, db: Connection, rpc: str, field: str) -> None:
    """G9: not stored, and not looked for either."""
    world = await a_world(coupons)
    requests = [with_field(ALL[rpc](world), field, name) for name in BAD_NAMES.values()]
    await are_refused_naming(coupons, db, rpc, requests, field)


@pytest.mark.parametrize("rpc", AMOUNT_FIELDS)
async def test_amounts_begin_at_1(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9."""
    world = await a_world(coupons)
    requests = [with_field(ALL[rpc](world), "amount", amount) for amount in (0, -1, -MOST, -MOST - 1)]
    await are_refused_naming(coupons, db, rpc, requests, "amount")
    await call(coupons, rpc, with_field(ALL[rpc](world), "amount", 1))


@pytest.mark.parametrize("rpc", AMOUNT_FIELDS)
async def test_an_amount_of_one_more_than_there_may_be_is_refused(
    claims: grpc.aio.Channel, coupons: Coupons, db: Connection, rpc: str
) -> None:
    """G9: 2^31, which no message of Python's holds, as the bytes that another client may send."""
    good: Any = ALL[rpc](await a_world(coupons))
    amount_field = bytes([good.DESCRIPTOR.fields_by_name["amount"].number << 3])
    before = await everything(db)
    raw: Any = claims.unary_unary(f"/tally.claims.v1.CouponService/{rpc}")
    answer = await refused(raw(good.SerializeToString() + amount_field + b"\x80\x80\x80\x80\x08"))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["amount"])
    assert await everything(db) == before


@pytest.mark.parametrize("rpc", ["ListCoupons", "ListCouponClaims"])
async def test_page_sizes_go_from_0_to_1000(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G9."""
    world = await a_world(coupons)
    requests = [with_field(READS[rpc](world), "page_size", size) for size in (-1, -(2**31), 1001, 2**31 - 1)]
    await are_refused_naming(coupons, db, rpc, requests, "page_size")
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
