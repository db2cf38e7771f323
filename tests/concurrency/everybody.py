"""Every kind of write there is, by many callers, through any number of services of each kind."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc.aio
from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from tally.operations.v1 import operations_service_pb2
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from tally.petition.v1 import petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub
from tally.reputation.v1 import group_pb2, group_service_pb2, reputation_service_pb2
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub
from tally.voting.v1 import analysis_service_pb2, voting_service_pb2
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from tests.concurrency.votes.voters import VOTES
from tests.servers import refused
from tests.services.claims.food import a_creation as a_food_post
from tests.services.petition.people import a_petition, new_uuid
from tests.services.voting.conversations import a_conversation, an_opinion

DEADLINE = 60.0
PLENTY = 1_000_000

# By the name of a service, channels to each of its processes.
Channels = Mapping[str, Sequence[grpc.aio.Channel]]


class Everybody:
    """Callers, and what they write to."""

    def __init__(self, channels: Channels) -> None:
        def stubs(service: str, make: Callable[[grpc.aio.Channel], Any]) -> list[Any]:
            return [make(channel) for channel in channels[service]]

        self.petitions = stubs("petition", PetitionServiceStub)
        self.voting = stubs("voting", VotingServiceStub)
        self.analyses = stubs("voting", AnalysisServiceStub)
        self.coupons = stubs("claims", CouponServiceStub)
        self.food = stubs("claims", ExchangeServiceStub)
        self.reputation = stubs("reputation", ReputationServiceStub)
        self.groups = stubs("reputation", GroupServiceStub)
        self.operations = stubs("operations", OperationsServiceStub)
        self.petition = self.conversation = self.opinion = self.plenty = self.sold_out = self.post = self.user = (
            self.group
        ) = ""
        self.writes: dict[str, Callable[[int], Any]] = {
            "CreatePetition": self._create_petition,
            "CoSign": self._co_sign,
            "CreateConversation": self._create_conversation,
            "CreateOpinion": self._create_opinion,
            "CastVote": self._cast_vote,
            "RequestAnalysis": self._request_analysis,
            "CreateCoupon": self._create_coupon,
            "RestockCoupon": self._restock_coupon,
            "ClaimCoupon": self._claim_coupon,
            "JoinWaitlist": self._join_waitlist,
            "CreateFoodPost": self._create_food_post,
            "ClaimFood": self._claim_food,
            "RegisterUser": self._register_user,
            "RecordReputationEvent": self._record_event,
            "CreateGroup": self._create_group,
            "JoinGroup": self._join_group,
            "SetSharingMode": self._set_sharing_mode,
            "RefreshGroupActivity": self._refresh_group_activity,
            "RepairCounter": self._repair_counter,
        }

    async def prepare(self) -> None:
        """Makes what is written to."""
        self.petition = (await self._create_petition(0)).petition.petition_id
        self.conversation = (await self._create_conversation(0)).conversation.conversation_id
        self.opinion = (await self._create_opinion(0)).opinion.opinion_id
        self.plenty = (await self._create_coupon(0)).coupon.name
        request = coupon_service_pb2.CreateCouponRequest(name=new_uuid(), amount=1, request_id=new_uuid())
        self.sold_out = (await self.coupons[0].CreateCoupon(request)).coupon.name
        claim = coupon_service_pb2.ClaimCouponRequest(coupon_name=self.sold_out, **_by_somebody())
        await self.coupons[0].ClaimCoupon(claim)
        self.post = (await self._create_food_post(0)).food_post.food_post_id
        self.user = (await self._register_user(0)).user.user_id
        self.group = (await self._create_group(0)).group.group_id

    def take_over(self, others: "Everybody") -> None:
        """Writes to what these others had prepared."""
        for name in ("petition", "conversation", "opinion", "plenty", "sold_out", "post", "user", "group"):
            setattr(self, name, getattr(others, name))

    async def write(self, caller: int) -> str:
        """One write of the kind that this caller does, through one service after the other; its commit token."""
        kinds = list(self.writes.values())
        token: str = (await kinds[caller % len(kinds)](caller // len(kinds))).commit_token
        return token

    async def refused_all(self) -> dict[str, tuple[str, str]]:
        """What each kind of write is refused with, by each process."""
        most = max(map(len, (self.petitions, self.voting, self.coupons, self.reputation, self.operations)))
        answers = {}
        for kind, write in self.writes.items():
            for process in range(most):
                answers[f"{kind} {process}"] = (await refused(write(process))).said
        return answers

    async def read(self) -> tuple[int, int, int, int]:
        """Signatures of the petition, votes of the conversation, what remains of a coupon and portions held of a post; fails
        where one process answers otherwise than another."""
        answers = {await self._read(process) for process in range(2)}
        (answer,) = answers
        return answer

    async def _read(self, process: int) -> tuple[int, int, int, int]:
        signed, talked, claimed, given = await asyncio.gather(
            _of(self.petitions, process).GetPetition(
                petition_service_pb2.GetPetitionRequest(petition_id=self.petition), timeout=DEADLINE
            ),
            _of(self.voting, process).GetConversation(
                voting_service_pb2.GetConversationRequest(conversation_id=self.conversation), timeout=DEADLINE
            ),
            _of(self.coupons, process).GetCoupon(
                coupon_service_pb2.GetCouponRequest(name=self.plenty), timeout=DEADLINE
            ),
            _of(self.food, process).GetFoodPost(
                exchange_service_pb2.GetFoodPostRequest(food_post_id=self.post), timeout=DEADLINE
            ),
        )
        return (
            signed.petition.co_signer_count,
            talked.conversation.counts.vote_count,
            claimed.coupon.remaining_amount,
            given.food_post.portions_held,
        )

    def _create_petition(self, process: int) -> Any:
        request = petition_service_pb2.CreatePetitionRequest(petition=a_petition(), request_id=new_uuid())
        return _of(self.petitions, process).CreatePetition(request, timeout=DEADLINE)

    def _co_sign(self, process: int) -> Any:
        request = petition_service_pb2.CoSignRequest(petition_id=self.petition, region_code="DE", **_by_somebody())
        return _of(self.petitions, process).CoSign(request, timeout=DEADLINE)

    def _create_conversation(self, process: int) -> Any:
        request = voting_service_pb2.CreateConversationRequest(conversation=a_conversation(), request_id=new_uuid())
        return _of(self.voting, process).CreateConversation(request, timeout=DEADLINE)

    def _create_opinion(self, process: int) -> Any:
        return _of(self.voting, process).CreateOpinion(an_opinion(self.conversation), timeout=DEADLINE)

    def _cast_vote(self, process: int) -> Any:
        request = voting_service_pb2.CastVoteRequest(
            conversation_id=self.conversation, opinion_id=self.opinion, vote=VOTES[process % 3], **_by_somebody()
        )
        return _of(self.voting, process).CastVote(request, timeout=DEADLINE)

    def _request_analysis(self, process: int) -> Any:
        request = analysis_service_pb2.RequestAnalysisRequest(conversation_id=self.conversation, request_id=new_uuid())
        return _of(self.analyses, process).RequestAnalysis(request, timeout=DEADLINE)

    def _create_coupon(self, process: int) -> Any:
        request = coupon_service_pb2.CreateCouponRequest(name=new_uuid(), amount=PLENTY, request_id=new_uuid())
        return _of(self.coupons, process).CreateCoupon(request, timeout=DEADLINE)

    def _restock_coupon(self, process: int) -> Any:
        request = coupon_service_pb2.RestockCouponRequest(coupon_name=self.plenty, amount=1, request_id=new_uuid())
        return _of(self.coupons, process).RestockCoupon(request, timeout=DEADLINE)

    def _claim_coupon(self, process: int) -> Any:
        request = coupon_service_pb2.ClaimCouponRequest(coupon_name=self.plenty, **_by_somebody())
        return _of(self.coupons, process).ClaimCoupon(request, timeout=DEADLINE)

    def _join_waitlist(self, process: int) -> Any:
        request = coupon_service_pb2.JoinWaitlistRequest(coupon_name=self.sold_out, **_by_somebody())
        return _of(self.coupons, process).JoinWaitlist(request, timeout=DEADLINE)

    def _create_food_post(self, process: int) -> Any:
        return _of(self.food, process).CreateFoodPost(a_food_post(portions=PLENTY), timeout=DEADLINE)

    def _claim_food(self, process: int) -> Any:
        request = exchange_service_pb2.ClaimFoodRequest(food_post_id=self.post, portions=1, **_by_somebody())
        return _of(self.food, process).ClaimFood(request, timeout=DEADLINE)

    def _register_user(self, process: int) -> Any:
        request = reputation_service_pb2.RegisterUserRequest(**_by_somebody())
        return _of(self.reputation, process).RegisterUser(request, timeout=DEADLINE)

    def _record_event(self, process: int) -> Any:
        request = reputation_service_pb2.RecordReputationEventRequest(
            user_id=self.user, event_type="drill", impact_score=("0.25", "-0.25")[process % 2], request_id=new_uuid()
        )
        return _of(self.reputation, process).RecordReputationEvent(request, timeout=DEADLINE)

    def _create_group(self, process: int) -> Any:
        group = group_pb2.Group(
            name=new_uuid(),
            group_type=group_pb2.GROUP_TYPE_COMMUNITY,
            admin_user_id=self.user,
            verification_required=False,
        )
        request = group_service_pb2.CreateGroupRequest(group=group, request_id=new_uuid())
        return _of(self.groups, process).CreateGroup(request, timeout=DEADLINE)

    async def _join_group(self, process: int) -> Any:
        """Somebody who registers first."""
        user_id = (await self._register_user(process)).user.user_id
        request = group_service_pb2.JoinGroupRequest(group_id=self.group, user_id=user_id, request_id=new_uuid())
        return await _of(self.groups, process).JoinGroup(request, timeout=DEADLINE)

    def _set_sharing_mode(self, process: int) -> Any:
        request = group_service_pb2.SetSharingModeRequest(
            user_id=self.user, sharing_mode=f"m{new_uuid()[:8]}", request_id=new_uuid()
        )
        return _of(self.groups, process).SetSharingMode(request, timeout=DEADLINE)

    def _refresh_group_activity(self, process: int) -> Any:
        request = group_service_pb2.RefreshGroupActivityRequest(request_id=new_uuid())
        return _of(self.groups, process).RefreshGroupActivity(request, timeout=DEADLINE)

    def _repair_counter(self, process: int) -> Any:
        request = operations_service_pb2.RepairCounterRequest(
            counter="petition.co_signers", resource_id=self.petition, request_id=new_uuid()
        )
        return _of(self.operations, process).RepairCounter(request, timeout=DEADLINE)


def _of(stubs: Sequence[Any], process: int) -> Any:
    return stubs[process % len(stubs)]


def _by_somebody() -> dict[str, Any]:
    return {"user_id": new_uuid(), "request_id": new_uuid()}
