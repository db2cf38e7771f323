"""Messages to commands, and what came of them back to messages."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tally.claims.v1 import coupon_pb2 as resources
from tally.claims.v1 import coupon_service_pb2 as messages

from libs.data.database import Committed
from libs.data.errors import TallyError
from libs.data.ids import parse_id
from libs.rpc.status import to_proto
from libs.rpc.times import time_fields, to_timestamp
from services.claims.coupons import model


def to_claim(request: messages.ClaimCouponRequest) -> model.ClaimCoupon:
    return model.ClaimCoupon(request.coupon_name, parse_id(request.user_id), parse_id(request.request_id))


def to_join(request: messages.JoinWaitlistRequest) -> model.JoinWaitlist:
    return model.JoinWaitlist(request.coupon_name, parse_id(request.user_id), parse_id(request.request_id))


def to_claim_response(committed: Committed[model.Claimed]) -> messages.ClaimCouponResponse:
    return messages.ClaimCouponResponse(**_claim_response(committed))


def to_claim_result(outcome: Committed[model.Claimed] | TallyError) -> messages.ClaimCouponResult:
    if isinstance(outcome, TallyError):
        return messages.ClaimCouponResult(error=to_proto(outcome))
    result: dict[str, Any] = {"claim": _claim_response(outcome)}
    return messages.ClaimCouponResult(**result)


# Fields of nested messages, given as dictionaries, are set inside the protobuf runtime: a quarter of the time that making each
# message and copying it into the next one takes. On the path of every claim.
def _claim_response(committed: Committed[model.Claimed]) -> dict[str, Any]:
    claim = committed.value.claim
    return {
        "claim": _claim(claim),
        "remaining_amount": claim.remaining_amount,
        "replayed": committed.value.replayed,
        "commit_token": claim.token or committed.token or "",
    }


def _claim(claim: model.Claim) -> dict[str, Any]:
    return {
        "coupon_name": claim.coupon_name,
        "user_id": str(claim.user_id),
        "ordinal": claim.ordinal,
        "claimed_time": time_fields(claim.claimed_time),
    }


def to_claim_message(claim: model.Claim) -> resources.Claim:
    return resources.Claim(**_claim(claim))


def to_join_response(committed: Committed[model.Joined]) -> messages.JoinWaitlistResponse:
    joined = committed.value
    response = messages.JoinWaitlistResponse(
        replayed=joined.replayed, commit_token=joined.result.token or committed.token or ""
    )
    if isinstance(joined.result, model.Claim):
        response.claim.CopyFrom(to_claim_message(joined.result))
    else:
        response.place.CopyFrom(_to_place(joined.result))
    return response


def _to_place(place: model.Place) -> resources.WaitlistPlace:
    return resources.WaitlistPlace(
        coupon_name=place.coupon_name,
        user_id=str(place.user_id),
        position=place.position,
        joined_time=to_timestamp(place.joined_time),
    )


def to_coupon(coupon: model.Coupon, claimants: Sequence[UUID] = ()) -> resources.Coupon:
    return resources.Coupon(
        name=coupon.name,
        amount=coupon.amount,
        restocked_amount=coupon.restocked_amount,
        remaining_amount=coupon.remaining_amount,
        claim_count=coupon.claim_count,
        waiting_count=coupon.waiting_count,
        created_time=to_timestamp(coupon.created_time),
        claimed_by=map(str, claimants),
    )
