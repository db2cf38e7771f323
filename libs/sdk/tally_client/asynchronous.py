"""The client for asyncio."""

import asyncio
from collections.abc import Awaitable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from tally_client.addresses import CHANNEL_OPTIONS, Addresses
from tally_client.errors import from_rpc_error
from tally_client.repeats import Attempts, Repeats

if TYPE_CHECKING:
    from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceAsyncStub
    from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceAsyncStub
    from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceAsyncStub
    from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceAsyncStub
    from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceAsyncStub
    from tally.reputation.v1.group_service_pb2_grpc import GroupServiceAsyncStub
    from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceAsyncStub
    from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceAsyncStub
    from tally.voting.v1.voting_service_pb2_grpc import VotingServiceAsyncStub

RequestT = TypeVar("RequestT", bound=Message, contravariant=True)
ResponseT = TypeVar("ResponseT", covariant=True)


class UnaryMethod(Protocol[RequestT, ResponseT]):
    """A unary method of a generated stub."""

    def __call__(self, request: RequestT, *, timeout: float | None = ...) -> Awaitable[ResponseT]: ...


class AsyncClient:
    """Connects to each service when it is first used. For one event loop.

    Args:
        addresses: where the services listen; a local stack where left out.
        timeout: seconds a call may take, repeats included, where `call` is not told otherwise.
        repeats: how often a call is repeated that can be.
        credentials: of TLS; plain text where left out.
    """

    def __init__(
        self,
        addresses: Addresses | None = None,
        *,
        timeout: float = 5.0,
        repeats: Repeats | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._addresses = addresses or Addresses()
        self._timeout = timeout
        self._repeats = repeats or Repeats()
        self._credentials = credentials
        self._channels: list[grpc.aio.Channel] = []

    @cached_property
    def petitions(self) -> "PetitionServiceAsyncStub":
        return PetitionServiceStub(self._connect(self._addresses.petition))

    @cached_property
    def voting(self) -> "VotingServiceAsyncStub":
        return VotingServiceStub(self._voting)

    @cached_property
    def analyses(self) -> "AnalysisServiceAsyncStub":
        return AnalysisServiceStub(self._voting)

    @cached_property
    def coupons(self) -> "CouponServiceAsyncStub":
        return CouponServiceStub(self._claims)

    @cached_property
    def exchanges(self) -> "ExchangeServiceAsyncStub":
        return ExchangeServiceStub(self._claims)

    @cached_property
    def reputation(self) -> "ReputationServiceAsyncStub":
        return ReputationServiceStub(self._reputation)

    @cached_property
    def groups(self) -> "GroupServiceAsyncStub":
        return GroupServiceStub(self._reputation)

    @cached_property
    def aggregator(self) -> "AggregatorServiceAsyncStub":
        return AggregatorServiceStub(self._connect(self._addresses.aggregator))

    @cached_property
    def operations(self) -> "OperationsServiceAsyncStub":
        return OperationsServiceStub(self._connect(self._addresses.operations))

    async def call(
        self,
        method: UnaryMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        repeats: Repeats | None = None,
    ) -> ResponseT:
        """Calls a unary method of one of the stubs; raises a TallyError.

        UNAVAILABLE is repeated within `timeout` seconds: reads as they are, writes with the same `request_id`, which is
        filled in where it is empty.
        """
        attempts = Attempts(request, self._timeout if timeout is None else timeout, repeats or self._repeats)
        while True:
            try:
                return await method(request, timeout=attempts.remaining())
            except grpc.RpcError as failure:
                error = from_rpc_error(failure)
                error.__cause__ = failure
            await asyncio.sleep(attempts.wait_after(error))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @cached_property
    def _voting(self) -> grpc.aio.Channel:
        return self._connect(self._addresses.voting)

    @cached_property
    def _claims(self) -> grpc.aio.Channel:
        return self._connect(self._addresses.claims)

    @cached_property
    def _reputation(self) -> grpc.aio.Channel:
        return self._connect(self._addresses.reputation)

    def _connect(self, address: str) -> grpc.aio.Channel:
        channel = (
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
            if self._credentials is None
            else grpc.aio.secure_channel(address, self._credentials, options=CHANNEL_OPTIONS)
        )
        self._channels.append(channel)
        return channel
