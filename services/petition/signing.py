"""The one way to sign and to withdraw: unary, batched or streamed, everything meets in one lane in order of arrival."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import structlog
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.group_commit import GroupCommit
from libs.rpc.many import answered_in_order, outcomes_of_each
from services.petition import convert, store
from services.petition.errors import AlreadySigned
from services.petition.model import Command, Sign, Signed, Withdraw, Withdrawn
from services.petition.settings import PetitionSettings

log = structlog.get_logger(__name__)


class Signing:
    """Takes signatures and withdrawals on and answers each after its commit."""

    def __init__(self, database: Database, settings: PetitionSettings) -> None:
        self._lane: GroupCommit[Command, Signed | Withdrawn] = GroupCommit(
            database,
            store.sign_and_withdraw,
            name="petition.signatures",
            max_batch=settings.petition_max_batch,
            max_queue=settings.petition_max_queue,
        )
        self._window = settings.petition_stream_window

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def sign(self, command: Sign) -> Committed[Signed]:
        try:
            return cast("Committed[Signed]", await self._lane.submit(command))
        except AlreadySigned as duplicate:
            _log_duplicate(duplicate)
            raise

    async def withdraw(self, command: Withdraw) -> Committed[Withdrawn]:
        return cast("Committed[Withdrawn]", await self._lane.submit(command))

    async def sign_each(
        self, requests: Sequence[messages.CoSignRequest], path: str = "requests[{}]."
    ) -> list[messages.CoSignResult]:
        """One result a request, in order. A request that is bad, or fails, fails alone.

        Args:
            path: of a request in what the caller sent, with a place for its number.
        """
        outcomes = await outcomes_of_each(requests, convert.to_sign, self._lane.submit_many, path)
        return [self._result(outcome) for outcome in outcomes]

    def sign_stream(self, requests: AsyncIterator[messages.CoSignRequest]) -> AsyncIterator[messages.CoSignResult]:
        """One result a request, in order, with at most a window of signatures in flight.

        When a stream ends early, by either side, what is in a transaction commits; what still waits is dropped.
        """
        return answered_in_order(requests, self._sign_one, self._window)

    async def _sign_one(self, request: messages.CoSignRequest) -> messages.CoSignResult:
        try:
            (result,) = await self.sign_each([request], "request.")
        except TallyError as error:  # a full queue, say, fails this one: the stream and what it has in flight go on
            return convert.to_co_sign_result(error)
        return result

    def _result(self, outcome: Committed[Signed | Withdrawn] | TallyError) -> messages.CoSignResult:
        if isinstance(outcome, AlreadySigned):
            _log_duplicate(outcome)
        return convert.to_co_sign_result(cast("Committed[Signed] | TallyError", outcome))


def _log_duplicate(duplicate: AlreadySigned) -> None:
    """For fraud detection, which reads the logs: who tried to sign again, and what they signed before."""
    log.info("duplicate_co_sign", **duplicate.metadata)
