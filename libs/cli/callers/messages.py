"""The requests callers send, and what their answers say."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any, NamedTuple

import grpc.aio
from google.protobuf.message import Message
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from tally.petition.v1 import petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub
from tally.reputation.v1 import group_service_pb2, reputation_service_pb2
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub
from tally.voting.v1 import voting_pb2, voting_service_pb2
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli.callers.generated import GeneratedConversation
from libs.cli.callers.orders import Order
from libs.cli.callers.reasons import reason_of

CO_SIGNERS = "petition.co_signers"
_IDS_AT_ONCE = 4096
_PAGE = 50
_CHOICES = (voting_pb2.VOTE_AGREE, voting_pb2.VOTE_DISAGREE, voting_pb2.VOTE_PASS)
# They cancel out, so that the score stays away from its bounds.
_IMPACTS = ("0.25", "-0.25")
# Of a conversation that is imported.
_OPINIONS, _VOTES_OF_A_PERSON = 200, 25


def random_ids() -> Iterator[str]:
    """UUIDs (version 4) without end, some 0.4 µs each: user ids are random, and the client must not be what is measured."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            d = digits[start : start + 32]
            yield f"{d[:8]}-{d[8:12]}-4{d[13:16]}-8{d[17:20]}-{d[20:]}"


def requests(order: Order) -> Iterator[Message | list[Message]]:
    """The order's requests, or lists of those that a stream takes, without end: every user signs, claims or votes once, and
    the resources take turns."""
    ids = random_ids()
    resources = cycle(order.resources)
    match order.method:
        case "CoSign":
            new = petition_service_pb2.CoSignRequest
            while True:
                yield new(petition_id=next(resources), user_id=next(ids), request_id=next(ids))
        case "BatchCoSign":
            new = petition_service_pb2.CoSignRequest
            while True:
                signatures = [
                    new(petition_id=next(resources), user_id=next(ids), request_id=next(ids))
                    for _ in range(order.batch)
                ]
                yield petition_service_pb2.BatchCoSignRequest(requests=signatures)
        case "ClaimCoupon":
            claim = coupon_service_pb2.ClaimCouponRequest
            while True:
                yield claim(coupon_name=next(resources), user_id=next(ids), request_id=next(ids))
        case "BatchClaimCoupon":
            claim = coupon_service_pb2.ClaimCouponRequest
            while True:
                claims = [
                    claim(coupon_name=next(resources), user_id=next(ids), request_id=next(ids))
                    for _ in range(order.batch)
                ]
                yield coupon_service_pb2.BatchClaimCouponRequest(requests=claims)
        case "ListFoodPosts":
            listings = [exchange_service_pb2.ListFoodPostsRequest(group_id=r, page_size=_PAGE) for r in order.resources]
            yield from cycle(listings)
        case "CastVote":
            yield from _votes(resources, ids)
        case "BatchCastVotes":
            votes = _votes(resources, ids)
            while True:
                yield voting_service_pb2.BatchCastVotesRequest(requests=islice(votes, order.batch))
        case "GetConversation":
            yield from cycle([voting_service_pb2.GetConversationRequest(conversation_id=r) for r in order.resources])
        case "ListOpinions":
            yield from cycle([_listing(resource) for resource in order.resources])
        case "ImportConversation":
            people = order.batch // _VOTES_OF_A_PERSON
            for resource in resources:
                yield list(GeneratedConversation(resource, _OPINIONS, order.batch, people).pieces())
        case "GetReputation":
            yield from cycle([reputation_service_pb2.GetReputationRequest(user_id=r) for r in order.resources])
        case "BatchGetReputations":
            while True:
                users = islice(resources, order.batch)
                yield reputation_service_pb2.BatchGetReputationsRequest(user_ids=users)
        case "RecordReputationEvent":
            new_event = reputation_service_pb2.RecordReputationEventRequest
            for user_id, impact in zip(resources, cycle(_IMPACTS), strict=False):
                yield new_event(user_id=user_id, event_type="load", impact_score=impact, request_id=next(ids))
        case "ListGroups":
            new_page = group_service_pb2.ListGroupsRequest
            yield from cycle([new_page(page_token=token, page_size=_PAGE) for token in order.resources])
        case "GetGroupActivity":
            yield from cycle([group_service_pb2.GetGroupActivityRequest(group_id=r) for r in order.resources])
        case "ListGroupActivity":
            yield from cycle([group_service_pb2.ListGroupActivityRequest(page_size=_PAGE)])
        case "RefreshGroupActivity":
            while True:
                yield group_service_pb2.RefreshGroupActivityRequest(request_id=next(ids))
        case "GetCoSignerCount":
            yield from cycle([petition_service_pb2.GetCoSignerCountRequest(petition_id=r) for r in order.resources])
        case "GetCounter":
            keys = [aggregator_pb2.CounterKey(counter=CO_SIGNERS, resource_id=r) for r in order.resources]
            yield from cycle([aggregator_service_pb2.GetCounterRequest(key=key) for key in keys])
        case "BatchGetCounters":
            keys = [
                aggregator_pb2.CounterKey(counter=CO_SIGNERS, resource_id=next(resources)) for _ in range(order.batch)
            ]
            yield from cycle([aggregator_service_pb2.BatchGetCountersRequest(keys=keys)])


def _votes(opinions: Iterator[str], ids: Iterator[str]) -> Iterator[voting_service_pb2.CastVoteRequest]:
    new = voting_service_pb2.CastVoteRequest
    for opinion, choice in zip(opinions, cycle(_CHOICES), strict=False):
        conversation_id, _, opinion_id = opinion.partition("/")
        yield new(
            conversation_id=conversation_id,
            opinion_id=opinion_id,
            user_id=next(ids),
            vote=choice,
            request_id=next(ids),
        )


def _listing(resource: str) -> voting_service_pb2.ListOpinionsRequest:
    conversation_id, order, group_id = resource.split("/")
    return voting_service_pb2.ListOpinionsRequest(
        conversation_id=conversation_id,
        order=voting_service_pb2.OpinionOrder.Value(f"OPINION_ORDER_{order.upper()}"),
        group_id=int(group_id),
        page_size=_PAGE,
    )


class Call(NamedTuple):
    """How a method is called, and how many items of an answer failed, by code and reason (None: an answer cannot)."""

    stub: Callable[[grpc.aio.Channel], Any]
    failures: Callable[[Any], Counter[str]] | None = None


def _petition(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(PetitionServiceStub(channel), method)


def _coupon(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(CouponServiceStub(channel), method)


def _exchange(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(ExchangeServiceStub(channel), method)


def _group(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(GroupServiceStub(channel), method)


def _voting(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(VotingServiceStub(channel), method)


def _reputation(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(ReputationServiceStub(channel), method)


def _aggregator(method: str) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: getattr(AggregatorServiceStub(channel), method)


def _failed_items(answer: Any) -> Counter[str]:
    return Counter(reason_of(result.error) for result in answer.results if result.HasField("error"))


def _rejected(answer: voting_service_pb2.ImportConversationResponse) -> Counter[str]:
    return Counter({"REJECTED": answer.rejected_count}) if answer.rejected_count else Counter()


CALLS = {
    "CoSign": Call(_petition("CoSign")),
    "BatchCoSign": Call(_petition("BatchCoSign"), _failed_items),
    "GetCoSignerCount": Call(_petition("GetCoSignerCount")),
    "ClaimCoupon": Call(_coupon("ClaimCoupon")),
    "BatchClaimCoupon": Call(_coupon("BatchClaimCoupon"), _failed_items),
    "ListFoodPosts": Call(_exchange("ListFoodPosts")),
    "CastVote": Call(_voting("CastVote")),
    "BatchCastVotes": Call(_voting("BatchCastVotes"), _failed_items),
    "GetConversation": Call(_voting("GetConversation")),
    "ListOpinions": Call(_voting("ListOpinions")),
    "ImportConversation": Call(_voting("ImportConversation"), _rejected),
    "GetReputation": Call(_reputation("GetReputation")),
    "BatchGetReputations": Call(_reputation("BatchGetReputations"), _failed_items),
    "RecordReputationEvent": Call(_reputation("RecordReputationEvent")),
    "ListGroups": Call(_group("ListGroups")),
    "GetGroupActivity": Call(_group("GetGroupActivity")),
    "ListGroupActivity": Call(_group("ListGroupActivity")),
    "RefreshGroupActivity": Call(_group("RefreshGroupActivity")),
    "GetCounter": Call(_aggregator("GetCounter")),
    "BatchGetCounters": Call(_aggregator("BatchGetCounters"), _failed_items),
}
