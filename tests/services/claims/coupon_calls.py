"""A good request of every RPC of coupons, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from tally.claims.v1 import coupon_service_pb2 as messages

from tests.services.claims.coupons import Coupons, a_claim, a_creation, a_place, a_restock


@dataclass(frozen=True)
class World:
    """Coupons that good requests name: one with stock, and one that is sold out with somebody waiting for it."""

    plenty: str
    gone: str


async def a_world(coupons: Coupons) -> World:
    world = World(await coupons.create(1_000), await coupons.sold_out())
    await coupons.waited_for_by(world.gone, 1)
    return world


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "CreateCoupon": lambda world: a_creation(),
    "RestockCoupon": lambda world: a_restock(world.gone, 2),
    "ClaimCoupon": lambda world: a_claim(world.plenty),
    "BatchClaimCoupon": lambda world: messages.BatchClaimCouponRequest(requests=[a_claim(world.plenty)]),
    "JoinWaitlist": lambda world: a_place(world.gone),
}
READS: dict[str, Callable[[World], Message]] = {
    "GetCoupon": lambda world: messages.GetCouponRequest(name=world.plenty),
    "ListCoupons": lambda world: messages.ListCouponsRequest(),
    "ListCouponClaims": lambda world: messages.ListCouponClaimsRequest(coupon_name=world.gone),
}
