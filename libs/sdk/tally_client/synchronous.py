"""The client for threads."""

import time
from functools import cached_property
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc
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

RequestT = TypeVar("RequestT", bound=Message, contravariant=True)
ResponseT = TypeVar("ResponseT", covariant=True)


class UnaryMethod(Protocol[RequestT, ResponseT]):
    """A unary method of a generated stub."""

    def __call__(self, request: RequestT, *, timeout: float | None = ...) -> ResponseT: ...


class Client:
    """Connects to each service when it is first used. Safe to share between threads.

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
        self._channels: list[grpc.Channel] = []

    @cached_property
    def petitions(self) -> PetitionServiceStub:
        return PetitionServiceStub(self._connect(self._addresses.petition))

    @cached_property
    def voting(self) -> VotingServiceStub:
        return VotingServiceStub(self._voting)

    @cached_property
    def analyses(self) -> AnalysisServiceStub:
        return AnalysisServiceStub(self._voting)

    @cached_property
    def coupons(self) -> CouponServiceStub:
        return CouponServiceStub(self._claims)

    @cached_property
    def exchanges(self) -> ExchangeServiceStub:
        return ExchangeServiceStub(self._claims)

    @cached_property
    def reputation(self) -> ReputationServiceStub:
        return ReputationServiceStub(self._reputation)

    @cached_property
    def groups(self) -> GroupServiceStub:
        return GroupServiceStub(self._reputation)

    @cached_property
    def aggregator(self) -> AggregatorServiceStub:
        return AggregatorServiceStub(self._connect(self._addresses.aggregator))

    @cached_property
    def operations(self) -> OperationsServiceStub:
        return OperationsServiceStub(self._connect(self._addresses.operations))

    def call(
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
                return method(request, timeout=attempts.remaining())
            except grpc.RpcError as failure:
                error = from_rpc_error(failure)
                error.__cause__ = failure
            time.sleep(attempts.wait_after(error))

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _voting(self) -> grpc.Channel:
        return self._connect(self._addresses.voting)

    @cached_property
    def _claims(self) -> grpc.Channel:
        return self._connect(self._addresses.claims)

    @cached_property
    def _reputation(self) -> grpc.Channel:
        return self._connect(self._addresses.reputation)

    def _connect(self, address: str) -> grpc.Channel:
        channel = (
            grpc.insecure_channel(address, CHANNEL_OPTIONS)
            if self._credentials is None
            else grpc.secure_channel(address, self._credentials, CHANNEL_OPTIONS)
        )
        self._channels.append(channel)
        return channel
