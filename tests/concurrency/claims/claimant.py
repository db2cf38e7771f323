"""A caller who claims coupons and food."""

import asyncio
from collections.abc import Sequence

import grpc.aio
from tally.claims.v1 import coupon_service_pb2 as coupons

from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.calls import Caller, Request
from tests.concurrency.claims.mix import Mix, Operation
from tests.concurrency.plan import Plan


class Claimant:
    """Does what its mix draws."""

    def __init__(self, channel: grpc.aio.Channel, history: ClaimsHistory, plan: Plan, name: str) -> None:
        self._caller = Caller(channel, history, plan.deadline)
        self._mix = Mix(f"{plan.seed}/{name}", plan.resources, plan.food_posts, plan.users, plan.weights, plan.items)

    async def play(self) -> Sequence[tuple[Request, ClaimsAttempt]]:
        operation = self._mix.next()
        attempts = await self._do(operation)
        for attempt in attempts:
            self._mix.learn(attempt)
        return list(zip(operation.requests, attempts, strict=True))

    async def repeat(self, request: Request) -> ClaimsAttempt:
        return await self._caller.do(request)

    def chance(self, share: float) -> bool:
        return self._mix.chance(share)

    async def _do(self, operation: Operation) -> list[ClaimsAttempt]:
        requests = operation.requests
        match operation.action:
            case "batch":
                return await self._caller.batch([r for r in requests if isinstance(r, coupons.ClaimCouponRequest)])
            case "vanish":
                return [await self._caller.do(requests[0], give_up_after=self._mix.pause(0.02))]
            case "hurry":
                return [await self._caller.do(requests[0], 0.001)]
            case _:
                return await asyncio.gather(*(self._caller.do(request) for request in requests))
