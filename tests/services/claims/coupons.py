"""Coupons as their tests talk of them: short words for the calls they make most."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc.aio
from tally.claims.v1 import coupon_pb2 as resources
from tally.claims.v1 import coupon_service_pb2 as messages
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub

from tests.servers import refusal, refusal_of
from tests.services.claims.serving import claims_channel
from tests.services.petition.people import new_uuid
from tests.stored import Connection

if TYPE_CHECKING:  # in the stubs only
    from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceAsyncStub

MOST = 2**31 - 1


def a_creation(name: str = "", amount: int = 1, request_id: str = "") -> messages.CreateCouponRequest:
    """Of a coupon with a name of its own, unless one is given."""
    return messages.CreateCouponRequest(
        name=name or f"Loaf of bread {uuid4()}", amount=amount, request_id=request_id or new_uuid()
    )


def a_restock(name: str, amount: int = 1, request_id: str = "") -> messages.RestockCouponRequest:
    return messages.RestockCouponRequest(coupon_name=name, amount=amount, request_id=request_id or new_uuid())


def a_claim(name: str, user_id: str = "", request_id: str = "") -> messages.ClaimCouponRequest:
    """By a user of its own, unless one is given."""
    return messages.ClaimCouponRequest(
        coupon_name=name, user_id=user_id or new_uuid(), request_id=request_id or new_uuid()
    )


def a_place(name: str, user_id: str = "", request_id: str = "") -> messages.JoinWaitlistRequest:
    """For a user of its own, unless one is given."""
    return messages.JoinWaitlistRequest(
        coupon_name=name, user_id=user_id or new_uuid(), request_id=request_id or new_uuid()
    )


class Coupons:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "CouponServiceAsyncStub") -> None:
        self.stub = stub

    async def create(self, amount: int = 1, name: str = "") -> str:
        """Its name."""
        return (await self.stub.CreateCoupon(a_creation(name, amount))).coupon.name

    async def sold_out(self, amount: int = 1) -> str:
        """The name of a coupon of which there were so many and nothing is left."""
        name = await self.create(amount)
        await self.claimed_by(name, amount)
        return name

    async def get(self, name: str) -> resources.Coupon:
        return (await self.stub.GetCoupon(messages.GetCouponRequest(name=name))).coupon

    async def restock(self, name: str, amount: int = 1) -> messages.RestockCouponResponse:
        return await self.stub.RestockCoupon(a_restock(name, amount))

    async def claim(self, name: str, user_id: str = "", request_id: str = "") -> messages.ClaimCouponResponse:
        return await self.stub.ClaimCoupon(a_claim(name, user_id, request_id))

    async def claim_each(self, *requests: messages.ClaimCouponRequest) -> list[messages.ClaimCouponResult]:
        answer = await self.stub.BatchClaimCoupon(messages.BatchClaimCouponRequest(requests=requests))
        return list(answer.results)

    async def claimed_by(self, name: str, people: int) -> list[str]:
        """The users, in order of their ordinals; claimed in one batch at a time."""
        users = [new_uuid() for _ in range(people)]
        for start in range(0, people, 1000):
            results = await self.claim_each(*(a_claim(name, user) for user in users[start : start + 1000]))
            assert all(result.HasField("claim") for result in results)
        return users

    async def join(self, name: str, user_id: str = "", request_id: str = "") -> messages.JoinWaitlistResponse:
        return await self.stub.JoinWaitlist(a_place(name, user_id, request_id))

    async def waited_for_by(self, name: str, people: int) -> list[str]:
        """The users, in order of their places."""
        users = [new_uuid() for _ in range(people)]
        for user in users:
            assert (await self.join(name, user)).HasField("place")
        return users

    async def claims(self, name: str) -> list[tuple[int, str]]:
        """Ordinal and user of each claim, as listed."""
        request = messages.ListCouponClaimsRequest(coupon_name=name, page_size=1000)
        page = await self.stub.ListCouponClaims(request)
        assert not page.next_page_token
        return [(claim.ordinal, claim.user_id) for claim in page.claims]


async def became_of(call: Awaitable[object]) -> str:
    """The reason a call was refused for; `done` if it was not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason
    return "done"


def outcome(result: messages.ClaimCouponResult) -> str:
    """The same of an item of a batch."""
    return "done" if result.HasField("claim") else refusal(result.error).reason


@asynccontextmanager
async def coupon_service(database_url: str, **settings: object) -> AsyncIterator[Coupons]:
    async with claims_channel(database_url, **settings) as channel:
        yield Coupons(CouponServiceStub(channel))


async def coupons_add_up(db: Connection) -> None:
    """Fails where stock was lost, made or given out twice, or where a counter differs from its rows."""
    wrong = await db.fetch("""
        SELECT c.name, c.remaining_amount, c.claim_count, claims.n, c.waiting_count, line.waiting, c.last_position
        FROM claims.coupons c,
             LATERAL (SELECT count(*) AS n, count(DISTINCT user_id) AS users, coalesce(max(ordinal), 0) AS last
                      FROM claims.claims WHERE coupon_name = c.name) claims,
             LATERAL (SELECT count(*) FILTER (WHERE served_time IS NULL) AS waiting, count(*) AS n,
                             coalesce(max(position), 0) AS last
                      FROM claims.waitlist WHERE coupon_name = c.name) line
        WHERE c.remaining_amount + c.claim_count <> c.amount::bigint + c.restocked_amount
           OR (c.remaining_amount > 0 AND c.waiting_count > 0)
           OR (claims.n, claims.users, claims.last) IS DISTINCT FROM (c.claim_count, c.claim_count, c.claim_count)
           OR (line.waiting, line.n, line.last) IS DISTINCT FROM (c.waiting_count, c.last_position, c.last_position)
    """)
    assert not wrong, wrong
