"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.data.errors import TallyError
from services.reputation.groups.errors import AlreadyAMember, LastAdmin, NotAMember, NotAnAdmin, VerificationRequired
from services.reputation.groups.model import Change, Changed, Command, Join, Kind, Leave, Membership, Role, SetRole
from services.reputation.ledger.errors import GroupNotFound, RequestIdReused, UserNotFound

Outcome = Changed | TallyError
Rows = Mapping[UUID, Mapping[str, Any]]
Member = tuple[UUID, UUID]  # group, user

FULL = "full"
MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Seen:
    """What is stored about the users of a batch.

    Args:
        memberships: of users and actors, those that have ended too.
        changes: what the commands' own requests have changed before.
        verification_levels: of the users who join, as far as there are such users.
    """

    memberships: dict[Member, Membership] = field(default_factory=dict)
    changes: dict[tuple[UUID, UUID, UUID], Change] = field(default_factory=dict)
    verification_levels: dict[UUID, str] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true.

    Args:
        memberships: as they are after the last command.
        members, admins: how many more each group has.
        participations: how many more groups each user ever joined.
    """

    outcomes: list[Outcome]
    memberships: dict[Member, Membership]
    changes: list[Change]
    members: dict[tuple[UUID], int]
    admins: dict[tuple[UUID], int]
    participations: dict[tuple[UUID], int]

    @property
    def active(self) -> set[UUID]:
        """Users who joined or left."""
        return {c.membership.user_id for c in self.changes if c.kind is not Kind.ROLE_SET}


class Door:
    """Where members come and go while a batch is being decided."""

    def __init__(self, groups: Rows, seen: Seen) -> None:
        self._groups = groups
        self._seen = seen
        self.memberships: dict[Member, Membership] = {}
        self.changes: dict[tuple[UUID, UUID, UUID], Change] = {}
        self.members: dict[tuple[UUID], int] = defaultdict(int)
        self.admins: dict[tuple[UUID], int] = defaultdict(int)
        self.participations: dict[tuple[UUID], int] = defaultdict(int)
        self._entered: dict[UUID, int] = defaultdict(int)

    def decide(self, command: Command) -> Outcome:
        if command.group_id not in self._groups:
            return GroupNotFound(command.group_id)
        change = self._change_by(command)
        if change is not None:
            return Changed(change, replayed=True) if _asks_for(command, change) else RequestIdReused()
        match command:
            case Join():
                return self.join(command)
            case Leave():
                return self.leave(command)
            case SetRole():
                return self.set_role(command)

    def join(self, command: Join) -> Outcome:
        level = self._seen.verification_levels.get(command.user_id)
        if level is None:
            return UserNotFound(command.user_id)
        before = self._membership(command.group_id, command.user_id)
        if before is not None and before.left_time is None:
            return AlreadyAMember(before)
        if self._groups[command.group_id]["verification_required"] and level != FULL:
            return VerificationRequired(command.group_id, level)
        if before is None:
            self.participations[(command.user_id,)] += 1
        self.members[(command.group_id,)] += 1
        joined = Membership(command.group_id, command.user_id, Role.MEMBER, self._now(command.group_id))
        return self._enter(command, Kind.JOINED, joined, command.user_id)

    def leave(self, command: Leave) -> Outcome:
        member = self._member(command.group_id, command.user_id)
        if member is None:
            return NotAMember(command.group_id, command.user_id)
        if member.role is Role.ADMIN:
            if self._admins(command.group_id) == 1:
                return LastAdmin(member)
            self.admins[(command.group_id,)] -= 1
        self.members[(command.group_id,)] -= 1
        left = replace(member, left_time=self._now(command.group_id))
        return self._enter(command, Kind.LEFT, left, command.user_id)

    def set_role(self, command: SetRole) -> Outcome:
        actor = self._member(command.group_id, command.actor_id)
        if actor is None or actor.role is not Role.ADMIN:
            return NotAnAdmin(command.group_id)
        member = self._member(command.group_id, command.user_id)
        if member is None:
            return NotAMember(command.group_id, command.user_id)
        difference = (command.role is Role.ADMIN) - (member.role is Role.ADMIN)
        if self._admins(command.group_id) + difference == 0:
            return LastAdmin(member)
        self.admins[(command.group_id,)] += difference
        return self._enter(command, Kind.ROLE_SET, replace(member, role=command.role), command.actor_id)

    def _change_by(self, command: Command) -> Change | None:
        key = (command.group_id, command.user_id, command.request_id)
        return self.changes.get(key) or self._seen.changes.get(key)

    def _membership(self, group_id: UUID, user_id: UUID) -> Membership | None:
        return self.memberships.get((group_id, user_id)) or self._seen.memberships.get((group_id, user_id))

    def _member(self, group_id: UUID, user_id: UUID) -> Membership | None:
        membership = self._membership(group_id, user_id)
        return membership if membership is not None and membership.left_time is None else None

    def _admins(self, group_id: UUID) -> int:
        admins: int = self._groups[group_id]["admin_count"]
        return admins + self.admins[(group_id,)]

    def _now(self, group_id: UUID) -> datetime:
        """A microsecond later with each change, so that their times have their order. Deciding one takes longer than that."""
        locked_time: datetime = self._groups[group_id]["locked_time"]
        return locked_time + MICROSECOND * self._entered[group_id]

    def _enter(self, command: Command, kind: Kind, membership: Membership, actor_id: UUID) -> Changed:
        count = self._groups[command.group_id]["member_count"] + self.members[(command.group_id,)]
        change = Change(kind, membership, command.request_id, actor_id, count, self._now(command.group_id))
        self._entered[command.group_id] += 1
        self.memberships[command.group_id, command.user_id] = membership
        self.changes[command.group_id, command.user_id, command.request_id] = change
        return Changed(change)


def _asks_for(command: Command, change: Change) -> bool:
    """Whether a command is the one that made the change."""
    match command:
        case Join():
            return (change.kind, change.membership.role) == (Kind.JOINED, Role.MEMBER)
        case Leave():
            return change.kind is Kind.LEFT
        case SetRole(role=role, actor_id=actor_id):
            made = (change.kind, change.membership.role, change.actor_id)
            return made == (Kind.ROLE_SET, role, actor_id)


def decide(groups: Rows, seen: Seen, commands: Sequence[Command]) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did."""
    door = Door(groups, seen)
    outcomes = [door.decide(command) for command in commands]
    return Decision(
        outcomes, door.memberships, list(door.changes.values()), door.members, door.admins, door.participations
    )
