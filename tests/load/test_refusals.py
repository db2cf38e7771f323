"""What callers make of refusals: those that an order expects count as given, all others as failures."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from tally.claims.v1 import coupon_service_pb2 as messages
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceServicer, add_CouponServiceServicer_to_server

from libs.cli.callers.orders import Measurement, Order
from libs.cli.callers.process import Run
from libs.data.errors import FailedPrecondition, NotFound
from libs.rpc.status import to_grpc

GONE = to_grpc(FailedPrecondition("nothing is left", reason="OUT_OF_STOCK"))
UNKNOWN = to_grpc(NotFound("there is none", reason="COUPON_NOT_FOUND"))
OUT_OF_STOCK = "FAILED_PRECONDITION OUT_OF_STOCK"


class Coupons(CouponServiceServicer):
    async def ClaimCoupon(self, request: Any, context: Any) -> messages.ClaimCouponResponse:
        if request.coupon_name != "bread":
            await context.abort_with_status(GONE if request.coupon_name == "cake" else UNKNOWN)
        return messages.ClaimCouponResponse()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_CouponServiceServicer_to_server(Coupons(), server)  # type: ignore[abstract]  # one method is called
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def claimed(address: str, coupons: list[str], refusals: list[str]) -> Measurement:
    order = Order(address=address, method="ClaimCoupon", resources=coupons, callers=2, calls=12, refusals=refusals)
    async with grpc.aio.insecure_channel(address) as channel:
        return await Run(order, [channel]).run()


@pytest.mark.parametrize(
    ("refusals", "counted"),
    [
        ([OUT_OF_STOCK], (8, 4, 4, {"NOT_FOUND COUPON_NOT_FOUND": 4})),
        ([], (4, 4, 0, {OUT_OF_STOCK: 4, "NOT_FOUND COUPON_NOT_FOUND": 4})),
        (["NOT_FOUND COUPON_NOT_FOUND", OUT_OF_STOCK], (12, 4, 8, {})),
    ],
)
async def test_only_what_is_expected_counts_as_given(
    address: str, refusals: list[str], counted: tuple[int, int, int, dict[str, int]]
) -> None:
    found = await claimed(address, ["bread", "cake", "pie"], refusals)
    assert (found.calls, found.items, found.refused, found.failures) == counted


@pytest.mark.parametrize("refusals", [[], [OUT_OF_STOCK]])
async def test_a_server_that_is_not_there_fails_every_call(address: str, refusals: list[str]) -> None:
    found = await claimed("127.0.0.1:1", ["bread"], refusals)
    assert (found.calls, found.failures) == (0, {"UNAVAILABLE": 12})
