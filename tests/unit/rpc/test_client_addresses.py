"""Each API is called at the address of the service it belongs to, by both clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceServicer, add_CouponServiceServicer_to_server
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceServicer, add_ExchangeServiceServicer_to_server
from tally.reputation.v1 import group_service_pb2, reputation_service_pb2
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceServicer, add_GroupServiceServicer_to_server
from tally.reputation.v1.reputation_service_pb2_grpc import (
    ReputationServiceServicer,
    add_ReputationServiceServicer_to_server,
)
from tally.voting.v1 import analysis_pb2, analysis_service_pb2, voting_service_pb2
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceServicer, add_AnalysisServiceServicer_to_server
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceServicer, add_VotingServiceServicer_to_server
from tally_client import Addresses, AsyncClient, Client

from libs.rpc.server import Composition, Registration, serving
from libs.rpc.settings import ServerSettings
from tests.unit.rpc.small_server import USER_ID, completed, settings


class Coupons:
    async def GetCoupon(self, request: Any, context: Any) -> Any:
        answer = coupon_service_pb2.GetCouponResponse()
        answer.coupon.name = request.name
        return answer


class Exchanges:
    async def GetExchange(self, request: Any, context: Any) -> Any:
        answer = exchange_service_pb2.GetExchangeResponse()
        answer.exchange.exchange_id = request.exchange_id
        return answer


@asynccontextmanager
async def compose_claims(_: ServerSettings) -> AsyncIterator[Composition]:
    yield Composition(
        services=[
            Registration(
                add_CouponServiceServicer_to_server,
                completed(Coupons(), CouponServiceServicer),
                coupon_service_pb2.DESCRIPTOR.services_by_name["CouponService"],
            ),
            Registration(
                add_ExchangeServiceServicer_to_server,
                completed(Exchanges(), ExchangeServiceServicer),
                exchange_service_pb2.DESCRIPTOR.services_by_name["ExchangeService"],
            ),
        ]
    )


async def test_coupons_and_exchanges_are_called_at_the_address_of_claims() -> None:
    get_coupon = coupon_service_pb2.GetCouponRequest(name="bread")
    get_exchange = exchange_service_pb2.GetExchangeRequest(exchange_id=USER_ID)

    def from_a_thread(address: str) -> None:
        with Client(Addresses(claims=address)) as tally:
            assert tally.call(tally.coupons.GetCoupon, get_coupon).coupon.name == "bread"
            assert tally.call(tally.exchanges.GetExchange, get_exchange).exchange.exchange_id == USER_ID

    async with serving("claims", settings(), compose_claims) as server:
        async with AsyncClient(Addresses(claims=server.address)) as tally:
            assert (await tally.call(tally.coupons.GetCoupon, get_coupon)).coupon.name == "bread"
            answer = await tally.call(tally.exchanges.GetExchange, get_exchange)
            assert answer.exchange.exchange_id == USER_ID
        await asyncio.to_thread(from_a_thread, server.address)


class Reputations:
    async def GetReputation(self, request: Any, context: Any) -> Any:
        answer = reputation_service_pb2.GetReputationResponse()
        answer.reputation.user_id = request.user_id
        return answer


class Groups:
    async def GetGroup(self, request: Any, context: Any) -> Any:
        answer = group_service_pb2.GetGroupResponse()
        answer.group.group_id = request.group_id
        return answer


@asynccontextmanager
async def compose_reputation(_: ServerSettings) -> AsyncIterator[Composition]:
    yield Composition(
        services=[
            Registration(
                add_ReputationServiceServicer_to_server,
                completed(Reputations(), ReputationServiceServicer),
                reputation_service_pb2.DESCRIPTOR.services_by_name["ReputationService"],
            ),
            Registration(
                add_GroupServiceServicer_to_server,
                completed(Groups(), GroupServiceServicer),
                group_service_pb2.DESCRIPTOR.services_by_name["GroupService"],
            ),
        ]
    )


async def test_reputations_and_groups_are_called_at_the_address_of_reputation() -> None:
    get_reputation = reputation_service_pb2.GetReputationRequest(user_id=USER_ID)
    get_group = group_service_pb2.GetGroupRequest(group_id=USER_ID)

    def from_a_thread(address: str) -> None:
        with Client(Addresses(reputation=address)) as tally:
            assert tally.call(tally.reputation.GetReputation, get_reputation).reputation.user_id == USER_ID
            assert tally.call(tally.groups.GetGroup, get_group).group.group_id == USER_ID

    async with serving("reputation", settings(), compose_reputation) as server:
        async with AsyncClient(Addresses(reputation=server.address)) as tally:
            answer = await tally.call(tally.reputation.GetReputation, get_reputation)
            assert answer.reputation.user_id == USER_ID
            assert (await tally.call(tally.groups.GetGroup, get_group)).group.group_id == USER_ID
        await asyncio.to_thread(from_a_thread, server.address)


class Voting:
    async def GetConversation(self, request: Any, context: Any) -> Any:
        answer = voting_service_pb2.GetConversationResponse()
        answer.conversation.conversation_id = request.conversation_id
        return answer


class Analyses:
    async def GetAnalysis(self, request: Any, context: Any) -> Any:
        """More than the 4 MiB that gRPC takes by default."""
        participants: Any = [{"user_id": request.conversation_id}] * 120_000
        return analysis_service_pb2.GetAnalysisResponse(analysis=analysis_pb2.Analysis(participants=participants))


@asynccontextmanager
async def compose_voting(_: ServerSettings) -> AsyncIterator[Composition]:
    yield Composition(
        services=[
            Registration(
                add_VotingServiceServicer_to_server,
                completed(Voting(), VotingServiceServicer),
                voting_service_pb2.DESCRIPTOR.services_by_name["VotingService"],
            ),
            Registration(
                add_AnalysisServiceServicer_to_server,
                completed(Analyses(), AnalysisServiceServicer),
                analysis_service_pb2.DESCRIPTOR.services_by_name["AnalysisService"],
            ),
        ]
    )


async def test_conversations_are_called_at_the_address_of_voting() -> None:
    request = voting_service_pb2.GetConversationRequest(conversation_id=USER_ID)

    def from_a_thread(address: str) -> str:
        with Client(Addresses(voting=address)) as tally:
            return tally.call(tally.voting.GetConversation, request).conversation.conversation_id

    async with serving("voting", settings(), compose_voting) as server:
        async with AsyncClient(Addresses(voting=server.address)) as tally:
            answer = await tally.call(tally.voting.GetConversation, request)
            assert answer.conversation.conversation_id == USER_ID
        assert await asyncio.to_thread(from_a_thread, server.address) == USER_ID


async def test_long_analyses_come_from_the_address_of_voting() -> None:
    request = analysis_service_pb2.GetAnalysisRequest(conversation_id=USER_ID)

    def from_a_thread(address: str) -> int:
        with Client(Addresses(voting=address)) as tally:
            return tally.call(tally.analyses.GetAnalysis, request).ByteSize()

    async with serving("voting", settings(), compose_voting) as server:
        async with AsyncClient(Addresses(voting=server.address)) as tally:
            size = (await tally.call(tally.analyses.GetAnalysis, request)).ByteSize()
        assert size > 4 * 1024 * 1024
        assert await asyncio.to_thread(from_a_thread, server.address) == size
