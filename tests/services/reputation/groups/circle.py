"""Groups as their tests talk of them: short words for the calls they make most."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tally.reputation.v1 import group_pb2 as resources
from tally.reputation.v1 import group_service_pb2 as messages
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub

from libs.data.catalog.reputation import GROUP_ADMINS, GROUP_MEMBERS, GROUPS_PARTICIPATED
from libs.data.transaction import Snapshot
from libs.data.verification import survey
from tests.services.petition.people import new_uuid
from tests.services.reputation.serving import reputation_channel
from tests.stored import Connection

if TYPE_CHECKING:  # in the stubs only
    from tally.reputation.v1.group_service_pb2_grpc import GroupServiceAsyncStub

MEMBER = resources.GROUP_ROLE_MEMBER
MODERATOR = resources.GROUP_ROLE_MODERATOR
ADMIN = resources.GROUP_ROLE_ADMIN
NEIGHBORHOOD = resources.GROUP_TYPE_NEIGHBORHOOD
COMMUNITY = resources.GROUP_TYPE_COMMUNITY


def a_group(admin_user_id: str, **changes: Any) -> resources.Group:
    """A group that is good as it is."""
    fields: dict[str, Any] = {
        "name": "Linden Street",
        "group_type": NEIGHBORHOOD,
        "admin_user_id": admin_user_id,
    }
    return resources.Group(**(fields | changes))


def a_creation(admin_user_id: str, request_id: str = "", **changes: Any) -> messages.CreateGroupRequest:
    return messages.CreateGroupRequest(group=a_group(admin_user_id, **changes), request_id=request_id or new_uuid())


def a_join(group_id: str, user_id: str, request_id: str = "") -> messages.JoinGroupRequest:
    return messages.JoinGroupRequest(group_id=group_id, user_id=user_id, request_id=request_id or new_uuid())


def a_leave(group_id: str, user_id: str, request_id: str = "") -> messages.LeaveGroupRequest:
    return messages.LeaveGroupRequest(group_id=group_id, user_id=user_id, request_id=request_id or new_uuid())


def a_role(
    group_id: str, user_id: str, actor_id: str, role: resources.GroupRole.ValueType = MODERATOR, request_id: str = ""
) -> messages.SetGroupRoleRequest:
    return messages.SetGroupRoleRequest(
        group_id=group_id, user_id=user_id, role=role, actor_id=actor_id, request_id=request_id or new_uuid()
    )


def a_switch(user_id: str, mode: str = "community", reason: str = "More to share.") -> messages.SetSharingModeRequest:
    return messages.SetSharingModeRequest(user_id=user_id, sharing_mode=mode, reason=reason, request_id=new_uuid())


def a_refresh(request_id: str = "") -> messages.RefreshGroupActivityRequest:
    return messages.RefreshGroupActivityRequest(request_id=request_id or new_uuid())


class Groups:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "GroupServiceAsyncStub", db: Connection) -> None:
        self.stub = stub
        self._db = db

    async def user(
        self,
        verification_level: str = "full",
        score: str = "75.00",
        trust_level: str = "developing",
        demotion_time: datetime | None = None,
    ) -> str:
        """Somebody registered, who stands so. Times without a zone are UTC."""
        user_id = new_uuid()
        await self._db.execute(
            "INSERT INTO reputation.users (id, verification_level, registered_at) VALUES ($1, $2, now())",
            user_id,
            verification_level,
        )
        await self._db.execute(
            "INSERT INTO reputation.user_global_reputation (user_id, overall_score, trust_level, demotion_time, last_activity)"
            " VALUES ($1, $2::text::numeric, $3, $4, '2026-01-01')",
            user_id,
            score,
            trust_level,
            demotion_time,
        )
        return user_id

    async def users(self, n: int) -> list[str]:
        """So many, registered at once."""
        rows = await self._db.fetch(
            """
            WITH added AS (
                INSERT INTO reputation.users (id, registered_at)
                SELECT gen_random_uuid(), now() FROM generate_series(1, $1::integer) RETURNING id
            )
            SELECT id::text FROM added
            """,
            n,
        )
        found = [row[0] for row in rows]
        await self._db.execute(
            "INSERT INTO reputation.user_global_reputation (user_id) SELECT unnest($1::text[])::uuid", found
        )
        return found

    async def create(self, admin_user_id: str = "", **changes: Any) -> resources.Group:
        """By a new user, unless one is named."""
        admin = admin_user_id or await self.user()
        return (await self.stub.CreateGroup(a_creation(admin, **changes))).group

    async def get(self, group_id: str) -> resources.Group:
        return (await self.stub.GetGroup(messages.GetGroupRequest(group_id=group_id))).group

    async def join(self, group_id: str, user_id: str = "") -> resources.Membership:
        """By a new user, unless one is named."""
        return (await self.stub.JoinGroup(a_join(group_id, user_id or await self.user()))).membership

    async def leave(self, membership: resources.Membership) -> messages.LeaveGroupResponse:
        return await self.stub.LeaveGroup(a_leave(membership.group_id, membership.user_id))

    async def members(self, group_id: str, page_size: int = 0) -> list[resources.Membership]:
        """All pages of them."""
        request = messages.ListGroupMembersRequest(group_id=group_id, page_size=page_size)
        found: list[resources.Membership] = []
        while True:
            page = await self.stub.ListGroupMembers(request)
            found += page.members
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def roles(self, group_id: str) -> dict[str, resources.GroupRole.ValueType]:
        return {member.user_id: member.role for member in await self.members(group_id)}

    async def listed(self, **asked: Any) -> list[str]:
        """Names of the groups that are listed, all pages of them."""
        request = messages.ListGroupsRequest(**asked)
        found: list[str] = []
        while True:
            page = await self.stub.ListGroups(request)
            found += [group.name for group in page.groups]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def activity(self, group_id: str) -> resources.GroupActivity:
        """As of now."""
        await self.stub.RefreshGroupActivity(a_refresh())
        return (await self.stub.GetGroupActivity(messages.GetGroupActivityRequest(group_id=group_id))).activity


@asynccontextmanager
async def groups_service(database_url: str, db: Connection, **settings: object) -> AsyncIterator[Groups]:
    """A service of its own, with the rights it has in production, that takes up no events of others meanwhile."""
    async with reputation_channel(database_url, **settings) as channel:
        yield Groups(GroupServiceStub(channel), db)


async def groups_add_up(db: Connection) -> None:
    """Fails where a counter differs from its rows, a group has no admin, or a membership is not what its last change says."""
    for counter in (GROUP_MEMBERS, GROUP_ADMINS, GROUPS_PARTICIPATED):
        found = await survey(Snapshot(db), counter)  # type: ignore[arg-type]  # any connection reads
        assert not found.discrepancies, (counter.name, found.discrepancies)
    wrong = await db.fetch("SELECT id FROM reputation.community_groups WHERE admin_count < 1")
    assert not wrong, wrong
    wrong = await db.fetch("""
        SELECT m.*, c.change, c.role AS last_role FROM reputation.group_members m JOIN LATERAL (
            SELECT * FROM reputation.group_member_changes c WHERE (c.group_id, c.user_id) = (m.group_id, m.user_id)
            ORDER BY c.change_time DESC LIMIT 1
        ) c ON true
        WHERE (c.change = 'left') <> (m.left_time IS NOT NULL) OR c.role <> m.role OR c.joined_time <> m.joined_time
    """)
    assert not wrong, wrong
    wrong = await db.fetch("""
        SELECT * FROM (
            SELECT *, coalesce(lag(member_count) OVER (PARTITION BY group_id ORDER BY change_time), 0) AS before
            FROM reputation.group_member_changes
        ) c
        WHERE member_count - before <> CASE change WHEN 'joined' THEN 1 WHEN 'left' THEN -1 ELSE 0 END
    """)
    assert not wrong, wrong
