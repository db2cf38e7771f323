"""What is refused of groups, each with its reason."""

from uuid import UUID

from libs.data.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied, shown_time
from services.reputation.groups.model import Membership


class NoGroupOfChat(NotFound):
    reason = "GROUP_NOT_FOUND"

    def __init__(self, telegram_group_id: int) -> None:
        super().__init__(f"there is no group of Telegram chat {telegram_group_id}")


class GroupExists(AlreadyExists):
    reason = "GROUP_EXISTS"

    def __init__(self, telegram_group_id: int, group_id: UUID) -> None:
        super().__init__(
            f"Telegram chat {telegram_group_id} has group {group_id}", metadata={"group_id": str(group_id)}
        )


class AlreadyAMember(AlreadyExists):
    reason = "ALREADY_A_MEMBER"

    def __init__(self, membership: Membership) -> None:
        since = shown_time(membership.joined_time)
        super().__init__(
            f"user {membership.user_id} is {membership.role} of group {membership.group_id} since {since}",
            metadata={"role": membership.role.value, "joined_time": since},
        )


class NotAMember(NotFound):
    reason = "NOT_A_MEMBER"

    def __init__(self, group_id: UUID, user_id: UUID) -> None:
        super().__init__(f"user {user_id} is not a member of group {group_id}")


class NotAnAdmin(PermissionDenied):
    reason = "NOT_AN_ADMIN"

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"only an admin of group {group_id} can do this")


class LastAdmin(FailedPrecondition):
    reason = "LAST_ADMIN"

    def __init__(self, membership: Membership) -> None:
        super().__init__(f"user {membership.user_id} is the only admin of group {membership.group_id}")


class VerificationRequired(FailedPrecondition):
    reason = "VERIFICATION_REQUIRED"

    def __init__(self, group_id: UUID, verification_level: str) -> None:
        super().__init__(
            f"group {group_id} takes only users whose verification level is full, and the user's is {verification_level}"
        )


class TrustLevelTooLow(FailedPrecondition):
    reason = "TRUST_LEVEL_TOO_LOW"

    def __init__(self, user_id: UUID, trust_level: str) -> None:
        super().__init__(f"user {user_id} is {trust_level}, which does not allow to create groups")


class SharingModeUnchanged(FailedPrecondition):
    reason = "SHARING_MODE_UNCHANGED"

    def __init__(self, user_id: UUID, sharing_mode: str) -> None:
        super().__init__(f"user {user_id} shares in mode {sharing_mode} already")
