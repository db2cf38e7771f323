"""Calls to the petition service that end in a record of what was asked and answered, whatever happens to them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import grpc
import grpc.aio
from google.rpc import code_pb2, error_details_pb2, status_pb2
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from tests.concurrency.history import Attempt, History

Request = messages.CoSignRequest | messages.WithdrawCoSignRequest

# Reconnects at once, so that a test does not wait out a back-off made for networks; one connection a channel.
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_retries", 0),
)


def open_channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


class Caller:
    """Makes calls over one channel and appends every attempt to a history.

    Args:
        deadline: of each call, in seconds.
    """

    def __init__(self, channel: grpc.aio.Channel, history: History, deadline: float) -> None:
        self._stub = PetitionServiceStub(channel)
        self._history = history
        self._deadline = deadline

    async def sign(self, request: messages.CoSignRequest, deadline: float | None = None) -> Attempt:
        invoked = time.monotonic()
        try:
            response = await self._stub.CoSign(request, timeout=deadline or self._deadline)
        except grpc.aio.AioRpcError as error:
            return self._record(request, invoked, _failure(error))
        return self._record(request, invoked, response)

    async def withdraw(self, request: messages.WithdrawCoSignRequest) -> Attempt:
        invoked = time.monotonic()
        try:
            response = await self._stub.WithdrawCoSign(request, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            return self._record(request, invoked, _failure(error))
        return self._record(request, invoked, response)

    async def sign_and_cancel(self, request: messages.CoSignRequest, after: float) -> Attempt:
        """Gives up on the call after so many seconds, unless it is answered by then."""
        invoked = time.monotonic()
        call = asyncio.ensure_future(self._stub.CoSign(request, timeout=self._deadline))
        done, _ = await asyncio.wait({call}, timeout=after)
        if not done:
            call.cancel()
            await asyncio.wait({call})
        if call.cancelled():
            return self._record(request, invoked, status_pb2.Status(code=code_pb2.CANCELLED))
        error = call.exception()
        if isinstance(error, grpc.aio.AioRpcError):
            return self._record(request, invoked, _failure(error))
        return self._record(request, invoked, call.result())

    async def batch(self, requests: Sequence[messages.CoSignRequest]) -> list[Attempt]:
        invoked = time.monotonic()
        try:
            response = await self._stub.BatchCoSign(
                messages.BatchCoSignRequest(requests=requests), timeout=self._deadline
            )
        except grpc.aio.AioRpcError as error:
            failure = _failure(error)
            return [self._record(request, invoked, failure) for request in requests]
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
            attempts += [self._record(r, invoked, _failure(error)) for r in requests[len(attempts) :]]
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
        reason, ordinal = _reason(answer)
        code = code_pb2.Code.Name(answer.code)
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


def _failure(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")


def _reason(status: status_pb2.Status) -> tuple[str, int]:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason, int(info.metadata.get("ordinal", 0))
    return "", 0
