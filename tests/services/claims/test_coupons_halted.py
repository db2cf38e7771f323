"""While an operator has halted writes, nothing of coupons is written and everything can be read (G8)."""

import pytest
from tally.claims.v1 import coupon_service_pb2 as messages

from tests.bad_fields import call
from tests.servers import refusal, refused
from tests.services.claims.coupon_calls import READS, WRITES, a_world
from tests.services.claims.coupons import Coupons, a_claim, coupons_add_up
from tests.stored import Connection, everything, halt, resume

HALTED = ("FAILED_PRECONDITION", "HALTED")


@pytest.mark.parametrize("rpc", [rpc for rpc in WRITES if rpc != "BatchClaimCoupon"])
async def test_a_write_is_refused_while_halted_and_done_after_the_resume(
    coupons: Coupons, db: Connection, rpc: str
) -> None:
    """G8: CreateCoupon, RestockCoupon, ClaimCoupon, JoinWaitlist."""
    request = WRITES[rpc](await a_world(coupons))
    await halt(db)
    before = await everything(db)
    assert (await refused(call(coupons, rpc, request))).said == HALTED
    assert await everything(db) == before
    await resume(db)
    assert not (await call(coupons, rpc, request)).replayed
    await coupons_add_up(db)


async def test_each_item_of_a_batch_is_refused_while_halted(coupons: Coupons, db: Connection) -> None:
    """G8."""
    name = await coupons.create(5)
    requests = [a_claim(name), messages.ClaimCouponRequest(), a_claim(name)]
    await halt(db)
    before = await everything(db)
    results = await coupons.claim_each(*requests)
    said = [refusal(result.error).said for result in results]
    assert said == [HALTED, ("INVALID_ARGUMENT", "INVALID_FIELDS"), HALTED]
    assert await everything(db) == before
    await resume(db)
    results = await coupons.claim_each(*requests)
    assert [result.claim.claim.ordinal for result in results] == [1, 0, 2]


@pytest.mark.parametrize("rpc", READS)
async def test_a_read_is_answered_while_halted(coupons: Coupons, db: Connection, rpc: str) -> None:
    """G8: reads go on."""
    request = READS[rpc](await a_world(coupons))
    await halt(db)
    await call(coupons, rpc, request)
