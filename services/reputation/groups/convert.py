"""Messages to commands, and what came of them back to messages."""

from collections.abc import Mapping
from typing import Any

from tally.reputation.v1 import group_pb2 as resources
from tally.reputation.v1 import group_service_pb2 as messages

from libs.data.database import Committed
from libs.data.ids import parse_id
from libs.rpc.times import to_timestamp
from services.reputation.groups import model
from services.reputation.groups.model import GroupType, Role

_TYPES = {
    GroupType.NEIGHBORHOOD: resources.GROUP_TYPE_NEIGHBORHOOD,
    GroupType.COMMUNITY: resources.GROUP_TYPE_COMMUNITY,
}
_TYPES_OF_MESSAGES: Mapping[int, GroupType] = {message: group_type for group_type, message in _TYPES.items()}
_ROLES = {
    Role.MEMBER: resources.GROUP_ROLE_MEMBER,
    Role.MODERATOR: resources.GROUP_ROLE_MODERATOR,
    Role.ADMIN: resources.GROUP_ROLE_ADMIN,
}
_ROLES_OF_MESSAGES: Mapping[int, Role] = {message: role for role, message in _ROLES.items()}


def to_new_group(message: resources.Group) -> model.NewGroup:
    return model.NewGroup(
        message.telegram_group_id if message.HasField("telegram_group_id") else None,
        message.name,
        _TYPES_OF_MESSAGES[message.group_type],
        message.verification_required,
        parse_id(message.admin_user_id),
    )


def to_group_type(message: resources.GroupType.ValueType) -> GroupType | None:
    """None for any."""
    return _TYPES_OF_MESSAGES.get(message)


def to_join(request: messages.JoinGroupRequest) -> model.Join:
    return model.Join(parse_id(request.group_id), parse_id(request.user_id), parse_id(request.request_id))


def to_leave(request: messages.LeaveGroupRequest) -> model.Leave:
    return model.Leave(parse_id(request.group_id), parse_id(request.user_id), parse_id(request.request_id))


def to_set_role(request: messages.SetGroupRoleRequest) -> model.SetRole:
    return model.SetRole(
        parse_id(request.group_id),
        parse_id(request.user_id),
        parse_id(request.request_id),
        _ROLES_OF_MESSAGES[request.role],
        parse_id(request.actor_id),
    )


def to_group(group: model.Group) -> resources.Group:
    return resources.Group(
        group_id=str(group.group_id),
        telegram_group_id=group.telegram_group_id,
        name=group.name,
        group_type=_TYPES[group.group_type],
        verification_required=group.verification_required,
        admin_user_id=str(group.admin_user_id),
        member_count=group.member_count,
        created_time=to_timestamp(group.created_time),
    )


def to_membership(membership: model.Membership) -> resources.Membership:
    return resources.Membership(
        group_id=str(membership.group_id),
        user_id=str(membership.user_id),
        role=_ROLES[membership.role],
        joined_time=to_timestamp(membership.joined_time),
        left_time=to_timestamp(membership.left_time) if membership.left_time else None,
    )


def to_changed(committed: Committed[model.Changed]) -> dict[str, Any]:
    """The fields that all answers about a membership have."""
    changed = committed.value
    return {
        "membership": to_membership(changed.change.membership),
        "replayed": changed.replayed,
        "commit_token": changed.change.token or committed.token or "",
    }


def to_transition(transition: model.ModeTransition) -> resources.ModeTransition:
    return resources.ModeTransition(
        transition_id=str(transition.transition_id),
        user_id=str(transition.user_id),
        from_mode=transition.from_mode,
        to_mode=transition.to_mode,
        reason=transition.reason,
        created_time=to_timestamp(transition.created_time),
    )


def to_activity(activity: model.GroupActivity) -> resources.GroupActivity:
    last = activity.last_food_post_time
    return resources.GroupActivity(
        group_id=str(activity.group_id),
        group_name=activity.group_name,
        group_type=_TYPES[activity.group_type],
        active_members=activity.active_members,
        food_posts_30d=activity.food_posts_30d,
        avg_rating=activity.avg_rating,
        successful_exchanges_30d=activity.successful_exchanges_30d,
        last_food_post_time=to_timestamp(last) if last else None,
    )


def to_refreshed(committed: Committed[model.Refreshed]) -> messages.RefreshGroupActivityResponse:
    refreshed = committed.value
    return messages.RefreshGroupActivityResponse(
        refreshed_time=to_timestamp(refreshed.refreshed_time),
        replayed=refreshed.replayed,
        commit_token=refreshed.token or committed.token or "",
    )
