"""ListCoupons and ListCouponClaims: keyset pages."""

from collections.abc import Callable

import pytest
from tally.claims.v1 import coupon_pb2 as resources
from tally.claims.v1 import coupon_service_pb2 as messages

from libs.data.pages import encode_page_token
from tests.servers import refused
from tests.services.claims.coupons import Coupons
from tests.stored import Connection

# In the order of their code points, which is that of their UTF-8 but not of any language.
NAMES = ["  'quoted'", "$1", "A/b", "Zebra", "a/b", "zebra", "\u00c4pfel", "\uff21", "\U0001f34e"]


async def coupon_pages(coupons: Coupons, size: int) -> list[list[resources.Coupon]]:
    found: list[list[resources.Coupon]] = []
    token = ""
    while not found or token:
        page = await coupons.stub.ListCoupons(messages.ListCouponsRequest(page_size=size, page_token=token))
        found.append(list(page.coupons))
        assert len(found) < 1000, "pages without end"
        token = page.next_page_token
    return found


async def claim_pages(coupons: Coupons, name: str, size: int) -> list[list[resources.Claim]]:
    found: list[list[resources.Claim]] = []
    token = ""
    while not found or token:
        request = messages.ListCouponClaimsRequest(coupon_name=name, page_size=size, page_token=token)
        page = await coupons.stub.ListCouponClaims(request)
        found.append(list(page.claims))
        assert len(found) < 1000, "pages without end"
        token = page.next_page_token
    return found


async def test_coupons_are_listed_by_name_whatever_the_language(coupons: Coupons) -> None:
    for name in reversed(NAMES):
        await coupons.create(1, name)
    for size in (1, 4, 9, 1000):
        assert [c.name for page in await coupon_pages(coupons, size) for c in page] == NAMES


async def test_listed_coupons_have_their_counts_and_not_their_claimants(coupons: Coupons) -> None:
    name = await coupons.create(3)
    await coupons.claimed_by(name, 2)
    ((listed,),) = await coupon_pages(coupons, 0)
    assert (listed.amount, listed.remaining_amount, listed.claim_count) == (3, 1, 2)
    assert list(listed.claimed_by) == []
    expected = await coupons.get(name)
    expected.ClearField("claimed_by")
    assert listed == expected


async def test_pages_hold_what_was_asked_for_and_the_last_has_no_token(coupons: Coupons) -> None:
    for name in NAMES[:5]:
        await coupons.create(1, name)
    await coupons.restock("$1", 4)
    await coupons.claimed_by("$1", 5)
    expected = {1: [1] * 5, 2: [2, 2, 1], 5: [5], 1000: [5]}
    assert {n: [len(page) for page in await coupon_pages(coupons, n)] for n in expected} == expected
    assert {n: [len(page) for page in await claim_pages(coupons, "$1", n)] for n in expected} == expected


async def test_a_page_holds_50_unless_asked_otherwise(coupons: Coupons, db: Connection) -> None:
    await db.execute(
        "INSERT INTO claims.coupons (name, amount, remaining_amount) SELECT n::text, 1, 1 FROM generate_series(2, 51) n"
    )
    name = await coupons.create(51)
    await coupons.claimed_by(name, 51)
    assert [len(page) for page in await coupon_pages(coupons, 0)] == [50, 1]
    assert [len(page) for page in await claim_pages(coupons, name, 0)] == [50, 1]


async def test_nothing_to_list_is_an_empty_page(coupons: Coupons) -> None:
    assert await coupon_pages(coupons, 0) == [[]]
    assert await claim_pages(coupons, await coupons.create(), 0) == [[]]


async def test_claims_are_listed_as_they_were_answered_in_the_order_they_were_made(coupons: Coupons) -> None:
    name, other = await coupons.create(7), await coupons.create(7)
    answered = []
    for _ in range(7):
        await coupons.claim(other)
        answered.append((await coupons.claim(name)).claim)
    for size in (1, 3, 7):
        assert [claim for page in await claim_pages(coupons, name, size) for claim in page] == answered


async def test_pages_stay_where_they_were_while_more_is_claimed(coupons: Coupons) -> None:
    name = await coupons.create(10)
    users = await coupons.claimed_by(name, 4)
    request = messages.ListCouponClaimsRequest(coupon_name=name, page_size=3)
    first = await coupons.stub.ListCouponClaims(request)
    users += await coupons.claimed_by(name, 2)
    request.page_token = first.next_page_token
    second = await coupons.stub.ListCouponClaims(request)
    assert [claim.user_id for claim in (*first.claims, *second.claims)] == users
    assert second.next_page_token == ""


async def test_claims_of_an_unknown_coupon_are_not_found(coupons: Coupons) -> None:
    answer = await refused(coupons.claims("none"))
    assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND")


async def tokens(coupons: Coupons) -> tuple[str, str, str]:
    """Of the coupons, of the claims of the coupon A, and of those of B."""
    for name in ("A", "B"):
        await coupons.create(2, name)
        await coupons.claimed_by(name, 2)
    listed = await coupons.stub.ListCoupons(messages.ListCouponsRequest(page_size=1))
    claims = [
        await coupons.stub.ListCouponClaims(messages.ListCouponClaimsRequest(coupon_name=name, page_size=1))
        for name in ("A", "B")
    ]
    assert listed.next_page_token and all(page.next_page_token for page in claims)
    return listed.next_page_token, claims[0].next_page_token, claims[1].next_page_token


FORGED: dict[str, Callable[[str], str]] = {
    "not base64": lambda _: "%%%",
    "not ascii": lambda _: "\u00e4",
    "base64 of nothing": lambda _: "====",
    "not JSON": lambda _: "eHl6",  # xyz
    "not a list": lambda _: "NQ",  # 5
    "cut off": lambda token: token[:-3],
    "without a key": lambda _: encode_page_token("coupons"),
    "with too much": lambda _: encode_page_token("coupons", "a", "b"),
    "with a number for a name": lambda _: encode_page_token("coupons", 7),
    "with a list for a name": lambda _: encode_page_token("coupons", ["a"]),
    "with a name that no text can be": lambda _: encode_page_token("coupons", "a\x00b"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_what_is_no_token_of_the_coupons_is_refused(coupons: Coupons, forge: Callable[[str], str]) -> None:
    """G9."""
    good, claims_of_a, _ = await tokens(coupons)
    for token in (forge(good), claims_of_a):
        answer = await refused(coupons.stub.ListCoupons(messages.ListCouponsRequest(page_token=token)))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"])


async def test_what_is_no_token_of_a_coupons_claims_is_refused(coupons: Coupons) -> None:
    """G9: those of the coupons, and of another coupon's claims, too."""
    listed, claims_of_a, claims_of_b = await tokens(coupons)
    keys: list[tuple[object, ...]] = [(), ("1",), (1.0,), (True,), (None,), ([1],), (1, 1), (2**31,), (-(2**31) - 1,)]
    forged = [encode_page_token("claims/A", *key) for key in keys]
    for token in (listed, claims_of_b, *forged):
        request = messages.ListCouponClaimsRequest(coupon_name="A", page_token=token)
        answer = await refused(coupons.stub.ListCouponClaims(request))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"]), token
    request = messages.ListCouponClaimsRequest(coupon_name="A", page_token=claims_of_a)
    assert [claim.ordinal for claim in (await coupons.stub.ListCouponClaims(request)).claims] == [2]


@pytest.mark.parametrize("name", ["\U0001f34e" * 255, '\\"' * 127, "x/" * 127, "' OR '1'='1"], ids=len)
async def test_the_longest_names_can_be_paged_through(coupons: Coupons, name: str) -> None:
    await coupons.create(3, name)
    await coupons.create(1, "\U0010fffd")
    await coupons.claimed_by(name, 3)
    assert [[c.name for c in page] for page in await coupon_pages(coupons, 1)] == [[name], ["\U0010fffd"]]
    assert [claim.ordinal for page in await claim_pages(coupons, name, 1) for claim in page] == [1, 2, 3]
