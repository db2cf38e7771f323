"""A caller who signs petitions."""

from collections.abc import Sequence

import grpc.aio
from tally.petition.v1 import petition_service_pb2 as messages

from tests.concurrency.calls import Caller, Request
from tests.concurrency.history import Attempt, History
from tests.concurrency.mix import Mix, Operation
from tests.concurrency.plan import Plan


class Signer:
    """Does what its mix draws."""

    def __init__(self, channel: grpc.aio.Channel, history: History, plan: Plan, name: str) -> None:
        self._caller = Caller(channel, history, plan.deadline)
        self._mix = Mix(f"{plan.seed}/{name}", plan.resources, plan.users, plan.weights, plan.items)

    async def play(self) -> Sequence[tuple[Request, Attempt]]:
        operation = self._mix.next()
        return list(zip(operation.requests, await self._do(operation), strict=True))

    async def repeat(self, request: Request) -> Attempt:
        if isinstance(request, messages.WithdrawCoSignRequest):
            return await self._caller.withdraw(request)
        return await self._caller.sign(request)

    def chance(self, share: float) -> bool:
        return self._mix.chance(share)

    async def _do(self, operation: Operation) -> list[Attempt]:
        signatures = [r for r in operation.requests if isinstance(r, messages.CoSignRequest)]
        match operation.action:
            case "batch":
                return await self._caller.batch(signatures)
            case "stream":
                return await self._caller.stream(signatures)
            case "cancel":
                return [await self._caller.sign(signatures[0], give_up_after=self._mix.pause(0.02))]
            case "hurry":
                return [await self._caller.sign(signatures[0], 0.001)]
            case _:
                return [await self.repeat(operation.requests[0])]
