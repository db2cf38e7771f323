"""Calls to the petition service that end in a record of what was asked and answered, whatever happens to them."""

import time
from collections.abc import AsyncIterator, Sequence

import grpc
import grpc.aio
from google.rpc import code_pb2, status_pb2
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from tests.concurrency.answers import answer_of, failure, reason_of
from tests.concurrency.history import Attempt, History

Request = messages.CoSignRequest | messages.WithdrawCoSignRequest


class Caller:
    """Makes calls over one channel and appends every attempt to a history.

    Args:
        deadline: of each call, in seconds.
    """

    def __init__(self, channel: grpc.aio.Channel, history: History, deadline: float) -> None:
        self._stub = PetitionServiceStub(channel)
        self._history = history
        self._deadline = deadline

    async def sign(
        self, request: messages.CoSignRequest, deadline: float | None = None, give_up_after: float | None = None
    ) -> Attempt:
        """Gives up on the call after so many seconds, unless it is answered by then."""
        invoked = time.monotonic()
        call = self._stub.CoSign(request, timeout=deadline or self._deadline)
        return self._record(request, invoked, await answer_of(call, give_up_after))

    async def withdraw(self, request: messages.WithdrawCoSignRequest) -> Attempt:
        invoked = time.monotonic()
        return self._record(
            request, invoked, await answer_of(self._stub.WithdrawCoSign(request, timeout=self._deadline))
        )

    async def batch(self, requests: Sequence[messages.CoSignRequest]) -> list[Attempt]:
        invoked = time.monotonic()
        response = await answer_of(
            self._stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests), timeout=self._deadline)
        )
        if isinstance(response, status_pb2.Status):
            return [self._record(request, invoked, response) for request in requests]
        assert len(response.results) == len(requests)
        return [
            self._record(request, invoked, _of_result(result))
            for request, result in zip(requests, response.results, strict=True)
        ]

    async def stream(self, requests: Sequence[messages.CoSignRequest]) -> list[Attempt]:
        """Results come in order; items that a broken stream left unanswered fail as the stream did."""
        invoked = time.monotonic()

        async def items() -> AsyncIterator[messages.StreamCoSignsRequest]:
            for request in requests:
                yield messages.StreamCoSignsRequest(request=request)

        attempts: list[Attempt] = []
        try:
            async for response in self._stub.StreamCoSigns(items(), timeout=self._deadline):
                attempts.append(self._record(requests[len(attempts)], invoked, _of_result(response.result)))
        except grpc.aio.AioRpcError as error:
            attempts += [self._record(r, invoked, failure(error)) for r in requests[len(attempts) :]]
        assert len(attempts) == len(requests), f"{len(attempts)} results for {len(requests)} requests"
        return attempts

    def _record(
        self,
        request: Request,
        invoked: float,
        answer: messages.CoSignResponse | messages.WithdrawCoSignResponse | status_pb2.Status,
    ) -> Attempt:
        attempt = _attempt(request, invoked, answer)
        self._history.append(attempt)
        return attempt


def _attempt(
    request: Request,
    invoked: float,
    answer: messages.CoSignResponse | messages.WithdrawCoSignResponse | status_pb2.Status,
) -> Attempt:
    signing = isinstance(request, messages.CoSignRequest)
    region_code = request.region_code if isinstance(request, messages.CoSignRequest) else ""
    ids = (request.petition_id, request.user_id, request.request_id, region_code, invoked, time.monotonic())
    kind = "sign" if signing else "withdraw"
    if isinstance(answer, status_pb2.Status):
        reason, metadata = reason_of(answer)
        code, ordinal = code_pb2.Code.Name(answer.code), int(metadata.get("ordinal", 0))
        return Attempt(kind, *ids, code, reason, ordinal, message=answer.message)  # type: ignore[arg-type]
    thresholds = (
        answer.crossed_thresholds if isinstance(answer, messages.CoSignResponse) else answer.reversed_thresholds
    )
    return Attempt(
        kind,  # type: ignore[arg-type]
        *ids,
        "OK",
        "",
        answer.co_sign.ordinal,
        answer.co_signer_count,
        tuple(thresholds),
        answer.replayed,
        answer.commit_token,
    )


def _of_result(result: messages.CoSignResult) -> messages.CoSignResponse | status_pb2.Status:
    return result.error if result.HasField("error") else result.co_sign
