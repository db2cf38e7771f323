"""What groups are talked about in: commands, what is stored, and outcomes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.reputation.ledger.model import User


class GroupType(StrEnum):
    """What kind of group; the same words as in the database."""

    NEIGHBORHOOD = "neighborhood"
    COMMUNITY = "community"


class Role(StrEnum):
    """What a member may do; the same words as in the database."""

    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Kind(StrEnum):
    """What became of a membership; the same words as in the database."""

    JOINED = "joined"
    LEFT = "left"
    ROLE_SET = "role_set"


@dataclass(slots=True)
class Join:
    """Make this user a member."""

    group_id: UUID
    user_id: UUID
    request_id: UUID


@dataclass(slots=True)
class Leave:
    """End this user's membership."""

    group_id: UUID
    user_id: UUID
    request_id: UUID


@dataclass(slots=True)
class SetRole:
    """Give this member another role, as an admin decided."""

    group_id: UUID
    user_id: UUID
    request_id: UUID
    role: Role
    actor_id: UUID


Command = Join | Leave | SetRole


@dataclass(slots=True)
class Membership:
    """A user in a group; kept when it has ended.

    Args:
        left_time: None while a member.
    """

    group_id: UUID
    user_id: UUID
    role: Role
    joined_time: datetime
    left_time: datetime | None = None


@dataclass(slots=True)
class Change:
    """What a request made of a membership.

    Args:
        membership: as it was just after.
        actor_id: who decided so.
        member_count: of the group, just after.
        token: of the commit that stored it; None while that is the transaction at work.
    """

    kind: Kind
    membership: Membership
    request_id: UUID
    actor_id: UUID
    member_count: int
    change_time: datetime
    token: str | None = None


@dataclass(slots=True)
class Changed:
    """A membership changed, or had by the same request."""

    change: Change
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be created."""

    telegram_group_id: int | None
    name: str
    group_type: GroupType
    verification_required: bool
    admin_user_id: UUID


@dataclass(frozen=True, slots=True)
class Group:
    """A group as stored."""

    group_id: UUID
    telegram_group_id: int | None
    name: str
    group_type: GroupType
    verification_required: bool
    admin_user_id: UUID
    member_count: int
    created_time: datetime


@dataclass(frozen=True, slots=True)
class ModeTransition:
    """A user's change of sharing mode."""

    transition_id: UUID
    user_id: UUID
    from_mode: str
    to_mode: str
    reason: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class ModeSwitched:
    """The user with the new mode, and how that came."""

    user: User
    transition: ModeTransition


@dataclass(frozen=True, slots=True)
class GroupActivity:
    """What went on in a group, as of the last refresh.

    Args:
        avg_rating: with two places; empty without a rating.
    """

    group_id: UUID
    group_name: str
    group_type: GroupType
    active_members: int
    food_posts_30d: int
    avg_rating: str
    successful_exchanges_30d: int
    last_food_post_time: datetime | None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The summary of what goes on in groups is of this time.

    Args:
        replayed: the same request had done that before; then `token` is of its commit.
    """

    refreshed_time: datetime
    replayed: bool = False
    token: str | None = None
