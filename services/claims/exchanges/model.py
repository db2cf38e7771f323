"""What exchanges are talked about in: commands, what is stored, and outcomes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class PostStatus(StrEnum):
    """Whether food can be claimed; the same words as in the database."""

    AVAILABLE = "available"
    EXHAUSTED = "exhausted"
    CLOSED = "closed"


class Status(StrEnum):
    """Where an exchange is in its life; the same words as in the database."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ACTIVE = frozenset({Status.PENDING, Status.CONFIRMED})


@dataclass(slots=True)
class ClaimFood:
    """Hold portions for this user, in an exchange of this id."""

    food_post_id: UUID
    exchange_id: UUID
    user_id: UUID
    portions: int
    request_id: UUID


@dataclass(slots=True)
class Advance:
    """Bring an exchange to another status: confirmed, completed or cancelled."""

    exchange_id: UUID
    actor_id: UUID
    request_id: UUID
    to: Status


@dataclass(slots=True)
class Expire:
    """End a hold whose time is over, if nothing else has ended it."""

    exchange_id: UUID


Command = ClaimFood | Advance | Expire


@dataclass(slots=True)
class Exchange:
    """Portions on their way from a giver to a receiver."""

    exchange_id: UUID
    food_post_id: UUID
    giver_id: UUID
    receiver_id: UUID
    portions: int
    status: Status
    hold_expire_time: datetime
    created_time: datetime
    status_time: datetime


@dataclass(slots=True)
class Step:
    """A status an exchange came to.

    Args:
        actor_id, request_id: None where a hold expired by itself.
        token: of the commit that stored it; None while that is the transaction at work.
    """

    exchange: Exchange
    actor_id: UUID | None
    request_id: UUID | None
    token: str | None = None


@dataclass(slots=True)
class Advanced:
    """An exchange came to a status, or had by the same request: as it was just then."""

    step: Step
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class NewFoodPost:
    """Food to be offered."""

    title: str
    group_id: UUID | None
    sharing_mode: str
    portions: int
    pickup_time: datetime
    giver_id: UUID


@dataclass(frozen=True, slots=True)
class FoodPost:
    """A food post as stored."""

    food_post_id: UUID
    title: str
    group_id: UUID | None
    sharing_mode: str
    giver_id: UUID
    portions: int
    portions_remaining: int
    portions_held: int
    portions_claimed: int
    pickup_time: datetime
    created_time: datetime
    status: PostStatus


@dataclass(frozen=True, slots=True)
class NewRating:
    """What one side says of the other."""

    exchange_id: UUID
    rater_id: UUID
    stars: int
    comment: str
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating as stored; `token` as of Step."""

    exchange_id: UUID
    rater_id: UUID
    rated_id: UUID
    stars: int
    comment: str
    created_time: datetime
    token: str | None = None
