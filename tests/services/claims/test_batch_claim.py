"""BatchClaimCoupon."""

import asyncio

from tally.claims.v1 import coupon_service_pb2 as messages

from tests.servers import refusal, refused
from tests.services.claims.coupons import Coupons, a_claim, coupons_add_up, outcome
from tests.services.petition.people import new_uuid
from tests.stored import Connection, everything


async def test_each_item_has_its_own_result_in_the_order_of_the_requests(coupons: Coupons, db: Connection) -> None:
    """G4, G9: what is bad, unknown, sold out or there already fails alone."""
    name, gone = await coupons.create(2), await coupons.sold_out()
    user, repeated = new_uuid(), a_claim(name)
    pairs = [
        (a_claim(name, user), "done"),
        (a_claim(name, user), "ALREADY_CLAIMED"),
        (a_claim("There is none"), "COUPON_NOT_FOUND"),
        (messages.ClaimCouponRequest(coupon_name=name), "INVALID_FIELDS"),
        (a_claim(gone), "OUT_OF_STOCK"),
        (a_claim("a\x00b"), "INVALID_FIELDS"),
        (messages.ClaimCouponRequest(), "INVALID_FIELDS"),
        (repeated, "done"),
        (repeated, "done"),
        (a_claim(name), "OUT_OF_STOCK"),
        (a_claim(name, user), "ALREADY_CLAIMED"),
    ]
    results = await coupons.claim_each(*(request for request, _ in pairs))
    assert [outcome(result) for result in results] == [expected for _, expected in pairs]
    claims = [result.claim for result in results if result.HasField("claim")]
    assert [(c.claim.ordinal, c.remaining_amount, c.replayed) for c in claims] == [
        (1, 1, False),
        (2, 0, False),
        (2, 0, True),
    ]
    assert len({c.commit_token for c in claims}) == 1
    assert refusal(results[1].error).metadata["ordinal"] == "1"
    assert await coupons.claims(name) == [(1, user), (2, repeated.user_id)]
    await coupons_add_up(db)


async def test_the_order_of_a_batch_decides_who_gets_the_last_ones(coupons: Coupons, db: Connection) -> None:
    """G4: first come, first served, coupon by coupon."""
    names = [await coupons.create(stock) for stock in (3, 1)]
    requests = [a_claim(names[n % 2]) for n in range(10)]
    results = await coupons.claim_each(*requests)
    served = [n for n, result in enumerate(results) if result.HasField("claim")]
    assert served == [0, 1, 2, 4]
    assert {outcome(results[n]) for n in range(10) if n not in served} == {"OUT_OF_STOCK"}
    assert await coupons.claims(names[0]) == [
        (1, requests[0].user_id),
        (2, requests[2].user_id),
        (3, requests[4].user_id),
    ]
    assert await coupons.claims(names[1]) == [(1, requests[1].user_id)]
    await coupons_add_up(db)


async def test_an_item_with_bad_fields_names_them_with_its_place_in_the_batch(coupons: Coupons) -> None:
    bad = messages.ClaimCouponRequest(coupon_name="", user_id="x", request_id=new_uuid())
    results = await coupons.claim_each(bad, a_claim("none"), bad)
    fields = [refusal(result.error).fields for result in results]
    assert fields == [
        ["requests[0].coupon_name", "requests[0].user_id"],
        [],
        ["requests[2].coupon_name", "requests[2].user_id"],
    ]


async def test_a_batch_of_bad_items_only_is_answered_item_by_item(coupons: Coupons, db: Connection) -> None:
    """G9."""
    before = await everything(db)
    results = await coupons.claim_each(*[messages.ClaimCouponRequest()] * 3)
    assert [outcome(result) for result in results] == ["INVALID_FIELDS"] * 3
    assert await everything(db) == before


async def test_a_batch_may_hold_1000_items_and_no_more(coupons: Coupons, db: Connection) -> None:
    name = await coupons.create(1500)
    requests = [a_claim(name) for _ in range(1001)]
    before = await everything(db)
    for bad in (requests, []):
        answer = await refused(coupons.claim_each(*bad))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["requests"])
    assert await everything(db) == before
    results = await coupons.claim_each(*requests[:1000])
    assert [result.claim.claim.ordinal for result in results] == list(range(1, 1001))
    await coupons_add_up(db)


async def test_repeating_a_batch_answers_every_item_as_before_g5(coupons: Coupons, db: Connection) -> None:
    """G5: also when others have taken what was left."""
    name = await coupons.create(5)
    requests = [a_claim(name) for _ in range(3)]
    first = await coupons.claim_each(*requests)
    await coupons.claimed_by(name, 2)
    before = await everything(db)
    again = await coupons.claim_each(*requests, a_claim(name))
    assert outcome(again.pop()) == "OUT_OF_STOCK"
    assert all(result.claim.replayed for result in again)
    for result in again:
        result.claim.replayed = False
    assert again == first
    assert await everything(db) == before


async def test_batches_at_once_give_out_as_many_as_there_are(coupons: Coupons, db: Connection) -> None:
    """G4: of two coupons, asked for in opposite orders, without a deadlock."""
    one, other = await coupons.create(70), await coupons.create(55)
    batches = [[a_claim(name) for name in order for _ in range(10)] for order in ((one, other), (other, one)) * 4]
    answers = await asyncio.gather(*(coupons.claim_each(*batch) for batch in batches))
    outcomes = [
        (request.coupon_name, outcome(result))
        for batch, results in zip(batches, answers, strict=True)
        for request, result in zip(batch, results, strict=True)
    ]
    assert {(name, o): outcomes.count((name, o)) for name, o in outcomes} == {
        (one, "done"): 70,
        (one, "OUT_OF_STOCK"): 10,
        (other, "done"): 55,
        (other, "OUT_OF_STOCK"): 25,
    }
    await coupons_add_up(db)
