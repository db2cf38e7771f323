"""Messages to commands, and what came of them back to messages."""

from datetime import UTC, datetime
from typing import Any

from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as messages

from libs.data.database import Committed
from libs.data.errors import FieldViolation, InvalidInput
from libs.data.ids import new_id, parse_id
from libs.rpc.times import to_datetime, to_timestamp
from services.claims.exchanges import model
from services.claims.exchanges.model import PostStatus, Status

DEFAULT_SHARING_MODE = "neighborhood"
# The last microsecond that Python has, which the driver stores as infinity and reads as a time without a zone.
END_OF_TIME = datetime.max.replace(tzinfo=UTC)

_POST_STATUSES = {
    PostStatus.AVAILABLE: resources.FOOD_POST_STATUS_AVAILABLE,
    PostStatus.EXHAUSTED: resources.FOOD_POST_STATUS_EXHAUSTED,
    PostStatus.CLOSED: resources.FOOD_POST_STATUS_CLOSED,
}
_STATUSES = {
    Status.PENDING: resources.EXCHANGE_STATUS_PENDING,
    Status.CONFIRMED: resources.EXCHANGE_STATUS_CONFIRMED,
    Status.COMPLETED: resources.EXCHANGE_STATUS_COMPLETED,
    Status.CANCELLED: resources.EXCHANGE_STATUS_CANCELLED,
    Status.EXPIRED: resources.EXCHANGE_STATUS_EXPIRED,
}

AdvanceRequest = messages.ConfirmExchangeRequest | messages.CompleteExchangeRequest | messages.CancelExchangeRequest


def to_new_food_post(message: resources.FoodPost) -> model.NewFoodPost:
    pickup_time = to_datetime(message.pickup_time)
    if pickup_time is None or pickup_time >= END_OF_TIME:
        raise InvalidInput([FieldViolation("food_post.pickup_time", "must be a time before the end of the year 9999")])
    return model.NewFoodPost(
        message.title,
        parse_id(message.group_id) if message.group_id else None,
        message.sharing_mode or DEFAULT_SHARING_MODE,
        message.portions,
        pickup_time,
        parse_id(message.giver_id),
    )


def to_claim(request: messages.ClaimFoodRequest) -> model.ClaimFood:
    return model.ClaimFood(
        parse_id(request.food_post_id),
        new_id(),
        parse_id(request.user_id),
        request.portions,
        parse_id(request.request_id),
    )


def to_advance(request: AdvanceRequest, to: Status) -> model.Advance:
    return model.Advance(parse_id(request.exchange_id), parse_id(request.actor_id), parse_id(request.request_id), to)


def to_new_rating(request: messages.RateExchangeRequest) -> model.NewRating:
    return model.NewRating(
        parse_id(request.exchange_id),
        parse_id(request.rater_id),
        request.stars,
        request.comment,
        parse_id(request.request_id),
    )


def to_food_post(post: model.FoodPost) -> resources.FoodPost:
    return resources.FoodPost(
        food_post_id=str(post.food_post_id),
        title=post.title,
        group_id=str(post.group_id) if post.group_id else "",
        sharing_mode=post.sharing_mode,
        portions=post.portions,
        pickup_time=to_timestamp(post.pickup_time),
        giver_id=str(post.giver_id),
        portions_remaining=post.portions_remaining,
        portions_held=post.portions_held,
        portions_claimed=post.portions_claimed,
        status=_POST_STATUSES[post.status],
        created_time=to_timestamp(post.created_time),
    )


def to_exchange(exchange: model.Exchange) -> resources.Exchange:
    return resources.Exchange(
        exchange_id=str(exchange.exchange_id),
        food_post_id=str(exchange.food_post_id),
        giver_id=str(exchange.giver_id),
        receiver_id=str(exchange.receiver_id),
        portions=exchange.portions,
        status=_STATUSES[exchange.status],
        hold_expire_time=to_timestamp(exchange.hold_expire_time),
        created_time=to_timestamp(exchange.created_time),
        status_time=to_timestamp(exchange.status_time),
    )


def to_advanced(committed: Committed[model.Advanced]) -> dict[str, Any]:
    """The fields that all answers about an exchange have."""
    advanced = committed.value
    return {
        "exchange": to_exchange(advanced.step.exchange),
        "replayed": advanced.replayed,
        "commit_token": advanced.step.token or committed.token or "",
    }


def to_rate_response(committed: Committed[model.Rating]) -> messages.RateExchangeResponse:
    rating = committed.value
    return messages.RateExchangeResponse(
        rating=resources.Rating(
            exchange_id=str(rating.exchange_id),
            rater_id=str(rating.rater_id),
            rated_id=str(rating.rated_id),
            stars=rating.stars,
            comment=rating.comment,
            created_time=to_timestamp(rating.created_time),
        ),
        replayed=rating.token is not None,
        commit_token=rating.token or committed.token or "",
    )
