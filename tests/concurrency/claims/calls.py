"""Calls to the claims service that end in a record of what was asked and answered, whatever happens to them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import grpc.aio
from google.rpc import code_pb2, status_pb2
from tally.claims.v1 import coupon_service_pb2 as coupons
from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as exchanges
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from tests.concurrency.answers import answer_of, reason_of
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory, Kind

Step = exchanges.ConfirmExchangeRequest | exchanges.CompleteExchangeRequest | exchanges.CancelExchangeRequest
Request = (
    coupons.ClaimCouponRequest
    | coupons.JoinWaitlistRequest
    | coupons.RestockCouponRequest
    | exchanges.ClaimFoodRequest
    | Step
)
KINDS: dict[type[Any], Kind] = {
    coupons.ClaimCouponRequest: "claim",
    coupons.JoinWaitlistRequest: "join",
    coupons.RestockCouponRequest: "restock",
    exchanges.ClaimFoodRequest: "claim_food",
    exchanges.ConfirmExchangeRequest: "confirm",
    exchanges.CompleteExchangeRequest: "complete",
    exchanges.CancelExchangeRequest: "cancel",
}


class Caller:
    """Makes calls over one channel and appends every attempt to a history.

    Args:
        deadline: of each call, in seconds.
    """

    def __init__(self, channel: grpc.aio.Channel, history: ClaimsHistory, deadline: float) -> None:
        coupon_stub, exchange_stub = CouponServiceStub(channel), ExchangeServiceStub(channel)
        self._methods: dict[Kind, Callable[..., Awaitable[Any]]] = {
            "claim": coupon_stub.ClaimCoupon,
            "join": coupon_stub.JoinWaitlist,
            "restock": coupon_stub.RestockCoupon,
            "claim_food": exchange_stub.ClaimFood,
            "confirm": exchange_stub.ConfirmExchange,
            "complete": exchange_stub.CompleteExchange,
            "cancel": exchange_stub.CancelExchange,
        }
        self._batch = coupon_stub.BatchClaimCoupon
        self._history = history
        self._deadline = deadline

    async def do(
        self, request: Request, deadline: float | None = None, give_up_after: float | None = None
    ) -> ClaimsAttempt:
        """Gives up on the call after so many seconds, unless it is answered by then."""
        invoked = time.monotonic()
        call = self._methods[KINDS[type(request)]](request, timeout=deadline or self._deadline)
        return self._record(request, invoked, await answer_of(call, give_up_after))

    async def batch(self, requests: Sequence[coupons.ClaimCouponRequest]) -> list[ClaimsAttempt]:
        invoked = time.monotonic()
        response = await answer_of(
            self._batch(coupons.BatchClaimCouponRequest(requests=requests), timeout=self._deadline)
        )
        if isinstance(response, status_pb2.Status):
            return [self._record(request, invoked, response) for request in requests]
        return [
            self._record(request, invoked, result.error if result.HasField("error") else result.claim)
            for request, result in zip(requests, response.results, strict=True)
        ]

    def _record(self, request: Request, invoked: float, answer: Any) -> ClaimsAttempt:
        attempt = _attempt(request, invoked, answer)
        self._history.append(attempt)
        return attempt


def _attempt(request: Any, invoked: float, answer: Any) -> ClaimsAttempt:
    kind = KINDS[type(request)]
    if kind in ("claim", "join"):
        asked = (request.coupon_name, request.user_id, request.request_id, 1, "")
    elif kind == "restock":
        asked = (request.coupon_name, "", request.request_id, request.amount, "")
    elif kind == "claim_food":
        asked = (request.food_post_id, request.user_id, request.request_id, request.portions, "")
    else:
        asked = ("", request.actor_id, request.request_id, 0, request.exchange_id)
    attempt = partial(ClaimsAttempt, kind, *asked, invoked, time.monotonic())
    if isinstance(answer, status_pb2.Status):
        reason, told = reason_of(answer)
        return attempt(code_pb2.Code.Name(answer.code), reason, message=answer.message, told=told)
    return attempt("OK", "", _result(kind, answer), answer.replayed, answer.commit_token)


def _result(kind: Kind, answer: Any) -> tuple[str | int, ...]:
    if kind == "claim":
        return answer.claim.ordinal, answer.remaining_amount
    if kind == "join":
        if answer.HasField("claim"):
            return "claim", answer.claim.ordinal
        return "place", answer.place.position
    if kind == "restock":
        coupon = answer.coupon
        counts = (coupon.restocked_amount, coupon.remaining_amount, coupon.claim_count, coupon.waiting_count)
        return *counts, answer.served_count
    exchange = answer.exchange
    status = resources.ExchangeStatus.Name(exchange.status).removeprefix("EXCHANGE_STATUS_").lower()
    return exchange.exchange_id, status, exchange.portions
