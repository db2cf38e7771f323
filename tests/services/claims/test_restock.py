"""RestockCoupon, where nobody waits; those who wait are in test_waitlist.py."""

import asyncio

import pytest

from tests.servers import refused
from tests.services.claims.coupons import MOST, Coupons, a_restock, became_of, coupons_add_up
from tests.stored import Connection, event_kinds, everything


@pytest.mark.parametrize("left", [0, 2])
async def test_what_is_added_can_be_claimed(coupons: Coupons, db: Connection, left: int) -> None:
    """G2, G4: whether or not something was left."""
    name = await coupons.create(3 + left)
    await coupons.claimed_by(name, 3)
    answer = await coupons.restock(name, 4)
    coupon = answer.coupon
    assert (coupon.amount, coupon.restocked_amount, coupon.remaining_amount) == (3 + left, 4, left + 4)
    assert (coupon.claim_count, coupon.waiting_count, answer.served_count) == (3, 0, 0)
    assert answer.commit_token and not answer.replayed
    stored = await coupons.get(name)
    stored.ClearField("claimed_by")
    assert coupon == stored
    await coupons.claimed_by(name, left + 4)
    assert await became_of(coupons.claim(name)) == "OUT_OF_STOCK"
    assert [ordinal for ordinal, _ in await coupons.claims(name)] == list(range(1, left + 8))
    await coupons_add_up(db)
    assert (await event_kinds(db, name)).count("coupon.waiting_served") == 0


async def test_an_unknown_coupon_cannot_be_restocked(coupons: Coupons, db: Connection) -> None:
    await coupons.create()
    before = await everything(db)
    answer = await refused(coupons.restock("There is none"))
    assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND")
    assert await everything(db) == before


@pytest.mark.parametrize(("created", "restocked"), [(1, 0), (MOST - 1, 0), (1, 7), (MOST - 8, 7)])
async def test_of_a_coupon_there_may_be_as_many_in_all_as_an_int32_holds(
    coupons: Coupons, db: Connection, created: int, restocked: int
) -> None:
    """Whether they were there in the beginning or came later; the answer tells how many more may come."""
    name = await coupons.create(created)
    await coupons.claim(name)
    if restocked:
        await coupons.restock(name, restocked)
    possible = MOST - created - restocked
    before = await everything(db)
    for amount in {min(possible + 1, MOST), MOST}:
        answer = await refused(coupons.restock(name, amount))
        assert answer.said == ("FAILED_PRECONDITION", "TOO_MUCH_STOCK")
        assert answer.metadata == {"possible": str(possible)}
    assert await everything(db) == before
    coupon = (await coupons.restock(name, possible)).coupon
    assert (coupon.restocked_amount, coupon.remaining_amount) == (MOST - created, MOST - 1)
    await coupons_add_up(db)
    answer = await refused(coupons.restock(name, 1))
    assert (answer.reason, answer.metadata) == ("TOO_MUCH_STOCK", {"possible": "0"})


async def test_repeating_a_restock_answers_the_first_and_adds_nothing_g5(coupons: Coupons, db: Connection) -> None:
    """G5: with the counts of then, whatever happened since."""
    name = await coupons.sold_out(2)
    request = a_restock(name, 3)
    first = await coupons.stub.RestockCoupon(request)
    await coupons.claim(name)
    await coupons.restock(name, 1)
    before = await everything(db)
    again = await coupons.stub.RestockCoupon(request)
    assert again.replayed and not first.replayed
    assert (again.coupon, again.served_count, again.commit_token) == (first.coupon, 0, first.commit_token)
    assert await everything(db) == before


async def test_one_restock_sent_many_times_at_once_adds_its_amount_once_g5(coupons: Coupons, db: Connection) -> None:
    """G5."""
    name = await coupons.create(1)
    request = a_restock(name, 5)
    answers = await asyncio.gather(*(coupons.stub.RestockCoupon(request) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert len({answer.commit_token for answer in answers}) == 1
    assert (await coupons.get(name)).remaining_amount == 6
    await coupons_add_up(db)


@pytest.mark.parametrize("field", ["coupon_name", "amount"])
async def test_a_request_id_cannot_be_used_for_a_restock_that_says_something_else(
    coupons: Coupons, db: Connection, field: str
) -> None:
    request = a_restock(await coupons.create(), 2)
    await coupons.stub.RestockCoupon(request)
    setattr(request, field, {"coupon_name": await coupons.create(), "amount": 3}[field])
    before = await everything(db)
    answer = await refused(coupons.stub.RestockCoupon(request))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_a_refused_restock_leaves_its_request_id_free(coupons: Coupons) -> None:
    """G5: it has no answer to give again."""
    request = a_restock(await coupons.create(2), MOST - 1)
    assert (await refused(coupons.stub.RestockCoupon(request))).reason == "TOO_MUCH_STOCK"
    request.amount = 7
    assert not (await coupons.stub.RestockCoupon(request)).replayed


async def test_restocks_and_claims_at_once_lose_nothing(coupons: Coupons, db: Connection) -> None:
    """G2, G4."""
    name = await coupons.create(10)
    claims = [became_of(coupons.claim(name)) for _ in range(60)]
    restocks = [coupons.restock(name, 3) for _ in range(10)]
    outcomes, _ = await asyncio.gather(asyncio.gather(*claims), asyncio.gather(*restocks))
    coupon = await coupons.get(name)
    assert set(outcomes) <= {"done", "OUT_OF_STOCK"}
    assert (coupon.restocked_amount, coupon.claim_count) == (30, outcomes.count("done"))
    assert 10 <= coupon.claim_count == 40 - coupon.remaining_amount
    await coupons_add_up(db)
