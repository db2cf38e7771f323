"""Claims and places in line, on their way into shared transactions and back."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from tally.claims.v1 import coupon_service_pb2 as messages

from libs.data.database import Committed, Database
from libs.data.errors import InvalidInput, TallyError
from libs.data.group_commit import GroupCommit
from libs.rpc.validation import violations
from services.claims.coupons import convert, store
from services.claims.coupons.errors import OutOfStock
from services.claims.coupons.model import ClaimCoupon, Claimed, Command, Joined, JoinWaitlist
from services.claims.coupons.sold_out import SoldOut
from services.claims.settings import ClaimsSettings


class Claiming:
    """Takes claims on and answers each after its commit; those of sold-out coupons from memory."""

    def __init__(self, database: Database, sold_out: SoldOut, settings: ClaimsSettings) -> None:
        self._sold_out = sold_out
        self._lane: GroupCommit[Command, Claimed | Joined] = GroupCommit(
            database,
            partial(store.claim_and_join, most_waiting=settings.claims_most_waiting),
            name="claims.coupons",
            max_batch=settings.claims_max_batch,
            max_queue=settings.claims_max_queue,
        )

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def claim(self, command: ClaimCoupon) -> Committed[Claimed]:
        if self._sold_out.refuses(command.coupon_name, command.user_id):
            raise OutOfStock(command.coupon_name)
        try:
            return cast("Committed[Claimed]", await self._lane.submit(command))
        except OutOfStock:
            self._sold_out.note(command.coupon_name)
            raise

    async def join(self, command: JoinWaitlist) -> Committed[Joined]:
        return cast("Committed[Joined]", await self._lane.submit(command))

    async def claim_each(self, requests: Sequence[messages.ClaimCouponRequest]) -> list[messages.ClaimCouponResult]:
        """One result a request, in order. A request that is bad, or fails, fails alone."""
        commands: list[ClaimCoupon] = []
        refused: dict[int, TallyError] = {}
        for place, request in enumerate(requests):
            if bad := violations(request, f"requests[{place}]."):
                refused[place] = InvalidInput(bad)
                continue
            command = convert.to_claim(request)
            if self._sold_out.refuses(command.coupon_name, command.user_id):
                refused[place] = OutOfStock(command.coupon_name)
            else:
                commands.append(command)
        outcomes = await self._lane.submit_many(commands)
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, OutOfStock):
                self._sold_out.note(command.coupon_name)
        answered = iter(cast("Sequence[Committed[Claimed] | TallyError]", outcomes))
        return [convert.to_claim_result(refused[n] if n in refused else next(answered)) for n in range(len(requests))]
