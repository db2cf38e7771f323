"""CreateCoupon and GetCoupon."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tally.claims.v1 import coupon_service_pb2 as messages

from tests.servers import refused
from tests.services.claims.coupons import MOST, Coupons, a_creation, a_restock, coupons_add_up
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_a_created_coupon_has_all_of_its_stock(coupons: Coupons) -> None:
    answer = await coupons.stub.CreateCoupon(a_creation("Loaf of bread", 7))
    created = answer.coupon
    assert (created.name, created.amount, created.remaining_amount) == ("Loaf of bread", 7, 7)
    assert (created.restocked_amount, created.claim_count, created.waiting_count) == (0, 0, 0)
    assert list(created.claimed_by) == []
    assert abs(created.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.commit_token and not answer.replayed


async def test_a_created_coupon_is_stored_and_told_to_the_event_stream(coupons: Coupons, db: Connection) -> None:
    created = (await coupons.stub.CreateCoupon(a_creation("Loaf of bread", 7))).coupon
    assert await coupons.get("Loaf of bread") == created
    (event,) = await db.fetch("SELECT * FROM operations.events WHERE aggregate_id = 'Loaf of bread'")
    assert event["kind"] == "coupon.created"
    await coupons_add_up(db)


async def test_there_may_be_as_many_as_an_int32_holds(coupons: Coupons, db: Connection) -> None:
    name = await coupons.create(MOST)
    assert (await coupons.claim(name)).remaining_amount == MOST - 1
    coupon = await coupons.get(name)
    assert (coupon.amount, coupon.remaining_amount, coupon.claim_count) == (MOST, MOST - 1, 1)
    await coupons_add_up(db)


async def test_a_name_is_given_once(coupons: Coupons, db: Connection) -> None:
    name = await coupons.create(3)
    before = await everything(db)
    answer = await refused(coupons.stub.CreateCoupon(a_creation(name, 3)))
    assert answer.said == ("ALREADY_EXISTS", "COUPON_EXISTS")
    assert await everything(db) == before


async def test_of_many_creations_of_one_name_at_once_exactly_one_succeeds(coupons: Coupons, db: Connection) -> None:
    calls = (coupons.stub.CreateCoupon(a_creation("Bread", amount)) for amount in range(1, 21))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (created,) = (a.coupon for a in answers if isinstance(a, messages.CreateCouponResponse))
    assert await coupons.get("Bread") == created
    assert await event_kinds(db, "Bread") == ["coupon.created"]


async def test_repeating_a_creation_answers_the_first_coupon_and_creates_no_second_g5(
    coupons: Coupons, db: Connection
) -> None:
    """G5: as it was then, also when it has been claimed and restocked since."""
    request = a_creation("Bread", 2)
    first = await coupons.stub.CreateCoupon(request)
    await coupons.claimed_by("Bread", 2)
    await coupons.restock("Bread", 5)
    before = await everything(db)
    again = await coupons.stub.CreateCoupon(request)
    assert again.replayed and not first.replayed
    assert (again.coupon, again.commit_token) == (first.coupon, first.commit_token)
    assert await everything(db) == before


async def test_one_creation_sent_many_times_at_once_creates_one_coupon_g5(coupons: Coupons, db: Connection) -> None:
    """G5."""
    request = a_creation()
    answers = await asyncio.gather(*(coupons.stub.CreateCoupon(request) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert len({answer.commit_token for answer in answers}) == 1
    assert await db.fetchval("SELECT count(*) FROM claims.coupons") == 1


@pytest.mark.parametrize("change", [{"name": "Bread "}, {"amount": 3}], ids=lambda change: next(iter(change)))
async def test_a_request_id_cannot_be_used_for_a_coupon_that_says_something_else(
    coupons: Coupons, db: Connection, change: dict[str, str | int]
) -> None:
    request = a_creation("Bread", 2)
    await coupons.stub.CreateCoupon(request)
    before = await everything(db)
    for field, value in change.items():
        setattr(request, field, value)
    answer = await refused(coupons.stub.CreateCoupon(request))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_a_request_id_cannot_be_used_for_another_rpc(coupons: Coupons) -> None:
    request = a_creation(amount=2)
    await coupons.stub.CreateCoupon(request)
    restock = a_restock(request.name, 2, request.request_id)
    assert (await refused(coupons.stub.RestockCoupon(restock))).reason == "REQUEST_ID_REUSED"


async def test_a_refused_creation_leaves_its_request_id_free(coupons: Coupons) -> None:
    """G5: it has no answer to give again."""
    request = a_creation(await coupons.create())
    await refused(coupons.stub.CreateCoupon(request))
    request.name = "Another"
    assert not (await coupons.stub.CreateCoupon(request)).replayed


TWO_NAMES = {
    "case": ("Bread", "bread"),
    "a space at the end": ("Bread", "Bread "),
    "a space in front": ("Bread", " Bread"),
    "composition": ("caf\u00e9", "cafe\u0301"),
    "width": ("A", "\uff21"),
    "an invisible character": ("Bread", "Br\u200bead"),
}


@pytest.mark.parametrize("names", TWO_NAMES.values(), ids=TWO_NAMES)
async def test_names_that_differ_in_any_way_are_two_coupons(
    coupons: Coupons, db: Connection, names: tuple[str, str]
) -> None:
    one, other = names
    await coupons.create(1, one)
    await coupons.create(2, other)
    (user,) = await coupons.claimed_by(one, 1)
    assert [(await coupons.get(name)).remaining_amount for name in names] == [0, 2]
    assert await coupons.claims(other) == []
    await coupons.claim(other, user)
    assert await coupons.claims(one) == await coupons.claims(other) == [(1, user)]
    await coupons_add_up(db)


@pytest.mark.parametrize("name", ["", "There is none", "Loaf%", "Loaf _f bread", "loaf of bread"])
async def test_a_coupon_that_is_not_there_is_not_found(coupons: Coupons, name: str) -> None:
    await coupons.create(1, "Loaf of bread")
    answer = await refused(coupons.get(name or new_uuid()))
    assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND")


async def test_a_coupon_tells_who_claimed_it_in_the_order_of_their_claims(coupons: Coupons) -> None:
    name = await coupons.create(5)
    users = await coupons.claimed_by(name, 3)
    coupon = await coupons.get(name)
    assert list(coupon.claimed_by) == users
    assert (coupon.amount, coupon.remaining_amount, coupon.claim_count) == (5, 2, 3)


async def test_a_coupon_tells_its_first_1000_claimants_and_lists_all(coupons: Coupons) -> None:
    name = await coupons.create(1002)
    users = await coupons.claimed_by(name, 999)
    assert list((await coupons.get(name)).claimed_by) == users
    users += await coupons.claimed_by(name, 2)
    coupon = await coupons.get(name)
    assert list(coupon.claimed_by) == users[:1000]
    assert (coupon.claim_count, coupon.remaining_amount) == (1001, 1)
    page = await coupons.stub.ListCouponClaims(messages.ListCouponClaimsRequest(coupon_name=name, page_size=1000))
    assert [claim.user_id for claim in page.claims] == users[:1000]
    assert page.next_page_token
