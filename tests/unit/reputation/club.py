"""A store of groups without a database, for what rules decide about them: a decision is applied to it as the store would."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.reputation.groups import rules
from services.reputation.groups.model import Change, Command, Join, Membership, Role, SetRole

GROUP, STRICT, MISSING = UUID(int=1), UUID(int=2), UUID(int=3)
FOUNDER, ANNA, BEN, UNVERIFIED, UNKNOWN = (UUID(int=n) for n in range(11, 16))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEVELS = {FOUNDER: "full", ANNA: "full", BEN: "full", UNVERIFIED: "basic"}


def a_row(*, strict: bool = False) -> dict[str, Any]:
    return {"verification_required": strict, "member_count": 1, "admin_count": 1, "locked_time": NOON}


@dataclass
class Club:
    """What is stored, as far as rules see it: two groups, each with its founder as the admin."""

    rows: dict[UUID, dict[str, Any]] = field(default_factory=lambda: {GROUP: a_row(), STRICT: a_row(strict=True)})
    memberships: dict[rules.Member, Membership] = field(
        default_factory=lambda: {
            (group, FOUNDER): Membership(group, FOUNDER, Role.ADMIN, NOON) for group in (GROUP, STRICT)
        }
    )
    changes: dict[tuple[UUID, UUID, UUID], Change] = field(default_factory=dict)
    participated: dict[UUID, int] = field(default_factory=lambda: {FOUNDER: 2})
    commits: int = 0

    def run(self, *commands: Command) -> list[rules.Outcome]:
        """In one transaction."""
        self.commits += 1
        for row in self.rows.values():
            row["locked_time"] = NOON + timedelta(seconds=self.commits)
        decision = rules.decide(self.rows, self.seen(commands), commands)
        for key, membership in decision.memberships.items():
            self.memberships[key] = replace(membership)
        for change in decision.changes:
            made = (change.membership.group_id, change.membership.user_id, change.request_id)
            assert made not in self.changes, "a request changes something once"
            self.changes[made] = replace(change, token=f"{self.commits:x}")
        for (group,), n in decision.members.items():
            self.rows[group]["member_count"] += n
        for (group,), n in decision.admins.items():
            self.rows[group]["admin_count"] += n
        for (user,), n in decision.participations.items():
            self.participated[user] = self.participated.get(user, 0) + n
        self.check()
        return decision.outcomes

    def seen(self, commands: Sequence[Command]) -> rules.Seen:
        """What the store would look up for these commands."""
        wanted = {(c.group_id, c.user_id) for c in commands}
        wanted |= {(c.group_id, c.actor_id) for c in commands if isinstance(c, SetRole)}
        asked = {(c.group_id, c.user_id, c.request_id) for c in commands}
        joining = {c.user_id for c in commands if isinstance(c, Join)}
        return rules.Seen(
            {key: replace(m) for key, m in self.memberships.items() if key in wanted},
            {key: change for key, change in self.changes.items() if key in asked},
            {user: level for user, level in LEVELS.items() if user in joining},
        )

    def check(self) -> None:
        """Counters are what they count, and every group has an admin."""
        for group, row in self.rows.items():
            members = [m for m in self.memberships.values() if m.group_id == group and m.left_time is None]
            admins = [m for m in members if m.role is Role.ADMIN]
            assert (row["member_count"], row["admin_count"]) == (len(members), len(admins))
            assert admins
        for user in LEVELS:
            assert self.participated.get(user, 0) == sum(m.user_id == user for m in self.memberships.values())
        for change in self.changes.values():
            assert change.member_count >= 1
