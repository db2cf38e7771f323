"""What there is to claim, made through the service."""

import grpc
from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from tests.concurrency.claims.mix import GIVER
from tests.concurrency.petitions import new_id
from tests.services.claims.food import a_food_post


def create_coupons(address: str, count: int = 1, amount: int = 50) -> list[str]:
    """Their names, which no other coupon has."""
    names = [f"Coupon {new_id()}" for _ in range(count)]
    with grpc.insecure_channel(address) as channel:
        stub = CouponServiceStub(channel)
        for name in names:
            request = coupon_service_pb2.CreateCouponRequest(name=name, amount=amount, request_id=new_id())
            stub.CreateCoupon(request, timeout=10)
    return names


def create_food_posts(address: str, count: int = 1, portions: int = 50) -> list[str]:
    """Their ids."""
    with grpc.insecure_channel(address) as channel:
        stub = ExchangeServiceStub(channel)
        return [
            stub.CreateFoodPost(
                exchange_service_pb2.CreateFoodPostRequest(
                    food_post=a_food_post(portions=portions, giver_id=GIVER), request_id=new_id()
                ),
                timeout=10,
            ).food_post.food_post_id
            for _ in range(count)
        ]
