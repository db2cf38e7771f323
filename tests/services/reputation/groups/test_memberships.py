"""Joining, leaving and roles: each refusal, each replay, and a group that always has an admin (R5)."""

import asyncio

import pytest
from tally.reputation.v1 import group_pb2 as resources

from tests.bad_fields import call
from tests.servers import refused
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import (
    ADMIN,
    MEMBER,
    MODERATOR,
    Groups,
    a_join,
    a_leave,
    a_role,
    groups_add_up,
)
from tests.stored import Connection, event_kinds, everything


@pytest.fixture
async def admin(groups: Groups) -> str:
    return await groups.user()


@pytest.fixture
async def group(groups: Groups, admin: str) -> resources.Group:
    return await groups.create(admin)


async def participated(db: Connection, user_id: str) -> int:
    number: int = await db.fetchval(
        "SELECT total_groups_participated FROM reputation.user_global_reputation WHERE user_id = $1", user_id
    )
    return number


async def last_active(db: Connection, user_id: str) -> object:
    return await db.fetchval("SELECT last_activity FROM reputation.user_global_reputation WHERE user_id = $1", user_id)


async def test_joining_and_leaving_are_counted_and_noted(
    groups: Groups, group: resources.Group, db: Connection
) -> None:
    """R5: whoever comes back is a member anew, and has participated in one group."""
    user = await groups.user()
    seen = [await last_active(db, user)]
    joined = await groups.stub.JoinGroup(a_join(group.group_id, user))
    assert (joined.membership.user_id, joined.membership.role, joined.member_count) == (user, MEMBER, 2)
    assert not joined.membership.HasField("left_time") and joined.commit_token and not joined.replayed
    seen.append(await last_active(db, user))
    left = await groups.stub.LeaveGroup(a_leave(group.group_id, user))
    assert (left.membership.joined_time, left.member_count) == (joined.membership.joined_time, 1)
    assert left.membership.left_time.ToNanoseconds() >= joined.membership.joined_time.ToNanoseconds()
    seen.append(await last_active(db, user))
    assert len(set(seen)) == 3
    assert user not in await groups.roles(group.group_id)
    again = await groups.stub.JoinGroup(a_join(group.group_id, user))
    assert again.membership.joined_time.ToNanoseconds() > joined.membership.joined_time.ToNanoseconds()
    assert (again.member_count, await participated(db, user)) == (2, 1)
    assert await event_kinds(db, group.group_id) == [
        "group.created",
        "group.counted",
        "group.member_joined",
        "group.counted",
        "group.member_left",
        "group.counted",
        "group.member_joined",
    ]
    await groups_add_up(db)


async def test_members_are_listed_in_the_order_they_joined(groups: Groups, group: resources.Group, admin: str) -> None:
    users = [(await groups.join(group.group_id)).user_id for _ in range(5)]
    gone = await groups.join(group.group_id)
    await groups.leave(gone)
    for page_size in (0, 1, 2, 6):
        members = await groups.members(group.group_id, page_size)
        assert [member.user_id for member in members] == [admin, *users]


async def test_a_repeated_change_is_answered_as_the_first_whatever_came_after(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    """G5: with the membership and the number of members as they were then."""
    user = await groups.user()
    join, leave = a_join(group.group_id, user), a_leave(group.group_id, user)
    role = a_role(group.group_id, user, admin)
    joined = await groups.stub.JoinGroup(join)
    changed = await groups.stub.SetGroupRole(role)
    left = await groups.stub.LeaveGroup(leave)
    await groups.join(group.group_id)
    before = await everything(db)
    for rpc, request, first in (
        ("JoinGroup", join, joined),
        ("SetGroupRole", role, changed),
        ("LeaveGroup", leave, left),
    ):
        again = await call(groups, rpc, request)
        first.replayed = True
        assert again == first
    assert await everything(db) == before


async def test_a_request_id_belongs_to_what_it_was_used_for(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    """G5: in this group, for this user."""
    user, request_id = await groups.user(), new_uuid()
    await groups.stub.JoinGroup(a_join(group.group_id, user, request_id))
    role = a_role(group.group_id, user, admin)
    await groups.stub.SetGroupRole(role)
    before = await everything(db)
    reused = ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    for calling in (
        groups.stub.LeaveGroup(a_leave(group.group_id, user, request_id)),
        groups.stub.SetGroupRole(a_role(group.group_id, user, admin, MODERATOR, request_id)),
        groups.stub.SetGroupRole(a_role(group.group_id, user, admin, ADMIN, role.request_id)),
        groups.stub.SetGroupRole(a_role(group.group_id, user, user, MODERATOR, role.request_id)),
        groups.stub.JoinGroup(a_join(group.group_id, user, role.request_id)),
    ):
        answer = await refused(calling)
        assert (*answer.said, answer.fields) == (*reused, ["request_id"])
    assert await everything(db) == before
    other = await groups.create(admin)
    assert (await groups.stub.JoinGroup(a_join(other.group_id, user, request_id))).member_count == 2


async def test_a_member_cannot_join_again(groups: Groups, group: resources.Group, admin: str, db: Connection) -> None:
    member = await groups.join(group.group_id)
    before = await everything(db)
    answer = await refused(groups.stub.JoinGroup(a_join(group.group_id, member.user_id)))
    assert answer.said == ("ALREADY_EXISTS", "ALREADY_A_MEMBER")
    assert answer.metadata == {"role": "member", "joined_time": member.joined_time.ToJsonString()}
    answer = await refused(groups.stub.JoinGroup(a_join(group.group_id, admin)))
    assert answer.metadata["role"] == "admin"
    assert await everything(db) == before


@pytest.mark.parametrize(("level", "joins"), [("full", True), ("basic", False), ("none", False)])
async def test_a_group_may_take_only_those_who_are_verified(
    groups: Groups, admin: str, db: Connection, level: str, joins: bool
) -> None:
    strict, easy = await groups.create(admin, verification_required=True), await groups.create(admin)
    user = await groups.user(verification_level=level)
    await groups.join(easy.group_id, user)
    if joins:
        assert (await groups.join(strict.group_id, user)).role == MEMBER
    else:
        before = await everything(db)
        answer = await refused(groups.stub.JoinGroup(a_join(strict.group_id, user)))
        assert answer.said == ("FAILED_PRECONDITION", "VERIFICATION_REQUIRED")
        assert await everything(db) == before


async def test_what_names_nobody_or_no_group_is_not_found(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    stranger, nobody, nowhere = await groups.user(), new_uuid(), new_uuid()
    before = await everything(db)
    no_group, no_user, no_member = "GROUP_NOT_FOUND", "USER_NOT_FOUND", "NOT_A_MEMBER"
    for calling, reason in (
        (groups.stub.JoinGroup(a_join(nowhere, stranger)), no_group),
        (groups.stub.JoinGroup(a_join(group.group_id, nobody)), no_user),
        (groups.stub.LeaveGroup(a_leave(nowhere, stranger)), no_group),
        (groups.stub.LeaveGroup(a_leave(group.group_id, stranger)), no_member),
        (groups.stub.LeaveGroup(a_leave(group.group_id, nobody)), no_member),
        (groups.stub.SetGroupRole(a_role(nowhere, stranger, admin)), no_group),
        (groups.stub.SetGroupRole(a_role(group.group_id, stranger, admin)), no_member),
        (groups.members(nowhere), no_group),
    ):
        assert (await refused(calling)).said == ("NOT_FOUND", reason)
    assert await everything(db) == before


async def test_roles_are_given_by_admins_alone(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    members = [(await groups.join(group.group_id)).user_id for _ in range(3)]
    helper, other, gone = members
    answer = await groups.stub.SetGroupRole(a_role(group.group_id, helper, admin))
    assert (answer.membership.user_id, answer.membership.role) == (helper, MODERATOR)
    await groups.stub.SetGroupRole(a_role(group.group_id, gone, admin, ADMIN))
    await groups.stub.LeaveGroup(a_leave(group.group_id, gone))
    before = await everything(db)
    for actor in (helper, other, gone, new_uuid()):
        refusal = await refused(groups.stub.SetGroupRole(a_role(group.group_id, other, actor)))
        assert refusal.said == ("PERMISSION_DENIED", "NOT_AN_ADMIN")
    assert await everything(db) == before
    await groups.stub.SetGroupRole(a_role(group.group_id, helper, admin))  # the same again is no mistake
    assert await groups.roles(group.group_id) == {admin: ADMIN, helper: MODERATOR, other: MEMBER}
    assert (await event_kinds(db, group.group_id))[-1] == "group.member_role_set"
    await groups_add_up(db)


async def test_a_group_has_an_admin_at_all_times(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    second = (await groups.join(group.group_id)).user_id
    before = await everything(db)
    for calling in (
        groups.stub.LeaveGroup(a_leave(group.group_id, admin)),
        groups.stub.SetGroupRole(a_role(group.group_id, admin, admin, MEMBER)),
    ):
        assert (await refused(calling)).said == ("FAILED_PRECONDITION", "LAST_ADMIN")
    assert await everything(db) == before
    await groups.stub.SetGroupRole(a_role(group.group_id, second, admin, ADMIN))
    # Of two admins who leave at the same moment one stays.
    answers = await asyncio.gather(
        *(groups.stub.LeaveGroup(a_leave(group.group_id, user)) for user in (admin, second)), return_exceptions=True
    )
    assert sum(isinstance(answer, Exception) for answer in answers) == 1
    assert list((await groups.roles(group.group_id)).values()) == [ADMIN]
    await groups_add_up(db)


async def test_whoever_left_as_an_admin_comes_back_as_a_member(
    groups: Groups, group: resources.Group, admin: str, db: Connection
) -> None:
    second = await groups.join(group.group_id)
    await groups.stub.SetGroupRole(a_role(group.group_id, second.user_id, admin, ADMIN))
    await groups.stub.LeaveGroup(a_leave(group.group_id, second.user_id))
    assert (await groups.join(group.group_id, second.user_id)).role == MEMBER
    await groups_add_up(db)
