"""ClaimCoupon."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.claims.coupons import Coupons, a_claim, became_of, coupons_add_up
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_a_claim_is_answered_with_its_ordinal_and_what_is_left(coupons: Coupons, db: Connection) -> None:
    """G1, G2, G4: rows and counters are there when the answer is."""
    name, users = await coupons.create(3), [new_uuid() for _ in range(3)]
    for place, user in enumerate(users, start=1):
        answer = await coupons.claim(name, user)
        assert (answer.claim.coupon_name, answer.claim.user_id) == (name, user)
        assert (answer.claim.ordinal, answer.remaining_amount) == (place, 3 - place)
        assert abs(answer.claim.claimed_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
        assert answer.commit_token and not answer.replayed
        coupon = await coupons.get(name)
        assert (coupon.remaining_amount, coupon.claim_count) == (3 - place, place)
        assert list(coupon.claimed_by) == users[:place]
        await coupons_add_up(db)
    assert (await event_kinds(db, name)).count("coupon.counted") == 3


async def test_when_nothing_is_left_a_claim_is_refused(coupons: Coupons, db: Connection) -> None:
    """G4."""
    name = await coupons.sold_out(2)
    before = await everything(db)
    answer = await refused(coupons.claim(name))
    assert answer.said == ("FAILED_PRECONDITION", "OUT_OF_STOCK")
    assert name in answer.message
    assert await everything(db) == before


async def test_an_unknown_coupon_cannot_be_claimed(coupons: Coupons, db: Connection) -> None:
    await coupons.create()
    before = await everything(db)
    answer = await refused(coupons.claim("There is none"))
    assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND")
    assert await everything(db) == before


@pytest.mark.parametrize("left", [0, 1])
async def test_a_user_has_a_coupon_once_and_is_told_when_and_as_which_number(
    coupons: Coupons, db: Connection, left: int
) -> None:
    """Whether or not there is more."""
    name, user = await coupons.create(2 + left), new_uuid()
    await coupons.claim(name)
    first = await coupons.claim(name, user)
    before = await everything(db)
    answer = await refused(coupons.claim(name, user.upper()))
    assert answer.said == ("ALREADY_EXISTS", "ALREADY_CLAIMED")
    claimed = first.claim.claimed_time.ToDatetime(UTC)
    assert datetime.fromisoformat(answer.metadata.pop("claimed_time")) == claimed
    assert answer.metadata == {"user_id": user, "ordinal": "2"}
    assert await everything(db) == before


async def test_a_user_claims_many_coupons_each_with_ordinals_of_its_own(coupons: Coupons, db: Connection) -> None:
    user = new_uuid()
    for _ in range(3):
        assert (await coupons.claim(await coupons.create(2), user)).claim.ordinal == 1
    await coupons_add_up(db)


async def test_repeating_a_claim_answers_the_first_answer_g5(coupons: Coupons, db: Connection) -> None:
    """G5: with what was left and the commit of then; also when all is sold out since, or came back."""
    name = await coupons.create(4)
    await coupons.claim(name)
    request = a_claim(name)
    first = await coupons.stub.ClaimCoupon(request)
    assert (first.claim.ordinal, first.remaining_amount) == (2, 2)

    async def is_answered_again() -> None:
        before = await everything(db)
        again = await coupons.stub.ClaimCoupon(request)
        assert again.replayed
        again.replayed = False
        assert again == first
        assert await everything(db) == before

    await is_answered_again()
    await coupons.claimed_by(name, 2)
    await refused(coupons.claim(name))
    await is_answered_again()
    await coupons.restock(name, 5)
    await is_answered_again()


async def test_one_claim_sent_many_times_at_once_is_one_claim_g5(coupons: Coupons, db: Connection) -> None:
    """G5: one by one and in batches; nobody gets a second one though there are enough."""
    name = await coupons.create(100)
    request = a_claim(name)
    unary = [coupons.stub.ClaimCoupon(request) for _ in range(20)]
    batch = coupons.claim_each(*[request] * 20)
    answers = [*await asyncio.gather(*unary), *(result.claim for result in await batch)]
    assert {(a.claim.ordinal, a.remaining_amount, a.commit_token) for a in answers} == {
        (1, 99, answers[0].commit_token)
    }
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 39]
    assert (await coupons.get(name)).claim_count == 1
    await coupons_add_up(db)


async def test_of_ten_claims_of_one_user_at_once_exactly_one_succeeds(coupons: Coupons, db: Connection) -> None:
    """G4."""
    name, user = await coupons.create(10), new_uuid()
    outcomes = await asyncio.gather(*(became_of(coupons.claim(name, user)) for _ in range(10)))
    assert sorted(outcomes) == ["ALREADY_CLAIMED"] * 9 + ["done"]
    assert (await coupons.get(name)).remaining_amount == 9
    await coupons_add_up(db)


@pytest.mark.parametrize(("stock", "callers"), [(1, 20), (19, 20), (20, 20), (21, 20)])
async def test_of_many_users_at_once_as_many_get_one_as_there_are(
    coupons: Coupons, db: Connection, stock: int, callers: int
) -> None:
    """G4: never more, never fewer."""
    name = await coupons.create(stock)
    outcomes = await asyncio.gather(*(became_of(coupons.claim(name)) for _ in range(callers)))
    served = min(stock, callers)
    assert sorted(outcomes) == ["OUT_OF_STOCK"] * (callers - served) + ["done"] * served
    assert (await coupons.get(name)).remaining_amount == stock - served
    assert [ordinal for ordinal, _ in await coupons.claims(name)] == list(range(1, served + 1))
    await coupons_add_up(db)


async def test_a_request_id_belongs_to_its_coupon_and_user(coupons: Coupons, db: Connection) -> None:
    """G5: another user's, or another coupon's, is another claim."""
    name, other, request_id, user = await coupons.create(3), await coupons.create(3), new_uuid(), new_uuid()
    answers = [
        await coupons.claim(name, user, request_id),
        await coupons.claim(name, new_uuid(), request_id),
        await coupons.claim(other, user, request_id),
    ]
    assert [(a.claim.coupon_name, a.claim.ordinal, a.replayed) for a in answers] == [
        (name, 1, False),
        (name, 2, False),
        (other, 1, False),
    ]
    assert (await coupons.claim(name, user, request_id.upper())).replayed
    await coupons_add_up(db)


async def test_a_refused_claim_leaves_its_request_id_free(coupons: Coupons) -> None:
    """G5: it has no answer to give again."""
    request = a_claim(await coupons.sold_out())
    assert (await refused(coupons.stub.ClaimCoupon(request))).reason == "OUT_OF_STOCK"
    await coupons.restock(request.coupon_name)

    async def claimed() -> bool:  # what is known to be sold out may be refused a moment longer
        return await became_of(coupons.stub.ClaimCoupon(request)) == "done"

    await becomes_true(claimed)
    assert (await coupons.stub.ClaimCoupon(request)).replayed


async def test_times_of_claims_follow_the_ordinals(coupons: Coupons, db: Connection) -> None:
    name = await coupons.create(100)
    await asyncio.gather(*(coupons.claim(name) for _ in range(100)))
    rows = await db.fetch("SELECT ordinal, remaining_amount, claimed_time FROM claims.claims ORDER BY ordinal")
    assert [(row["ordinal"], row["remaining_amount"]) for row in rows] == [(n, 100 - n) for n in range(1, 101)]
    times = [row["claimed_time"] for row in rows]
    assert times == sorted(times)
