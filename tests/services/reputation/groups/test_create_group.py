"""Groups are created by users who may, once a chat, with their creator as the first admin (R5)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tally.reputation.v1 import group_service_pb2 as messages

from tests.servers import refused
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import ADMIN, COMMUNITY, NEIGHBORHOOD, Groups, a_creation, groups_add_up
from tests.stored import Connection, event_kinds, everything


async def test_whoever_creates_a_group_is_its_first_member_and_admin(groups: Groups, db: Connection) -> None:
    """R5: counted from the start."""
    admin = await groups.user()
    request = a_creation(admin, name="Gärten & Höfe", group_type=COMMUNITY, telegram_group_id=-1001234567890)
    answer = await groups.stub.CreateGroup(request)
    group = answer.group
    assert (group.name, group.group_type, group.admin_user_id) == ("Gärten & Höfe", COMMUNITY, admin)
    assert (group.member_count, group.verification_required, group.telegram_group_id) == (1, False, -1001234567890)
    assert answer.commit_token and not answer.replayed
    (member,) = await groups.members(group.group_id)
    assert (member.user_id, member.role, member.joined_time) == (admin, ADMIN, group.created_time)
    assert await groups.get(group.group_id) == group
    by_chat = await groups.stub.GetGroup(messages.GetGroupRequest(telegram_group_id=-1001234567890))
    assert by_chat.group == group
    row = await db.fetchrow("SELECT total_groups_participated, last_activity FROM reputation.user_global_reputation")
    assert row is not None and row[0] == 1
    assert abs(row[1] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert await event_kinds(db, group.group_id) == ["group.created"]
    assert await event_kinds(db, admin) == ["user.counted"]
    await groups_add_up(db)


async def test_a_repeated_creation_is_answered_as_the_first(groups: Groups, db: Connection) -> None:
    """G5."""
    admin = await groups.user()
    request = a_creation(admin, telegram_group_id=7)
    first = await groups.stub.CreateGroup(request)
    before = await everything(db)
    again = await groups.stub.CreateGroup(request)
    assert (again.group, again.commit_token, again.replayed) == (first.group, first.commit_token, True)
    changed = a_creation(admin, request.request_id, name="Another")
    assert (await refused(groups.stub.CreateGroup(changed))).said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await everything(db) == before


async def test_a_chat_has_one_group_however_many_create_it_at_once(groups: Groups, db: Connection) -> None:
    admins = await groups.users(20)
    calls = [groups.stub.CreateGroup(a_creation(admin, telegram_group_id=42)) for admin in admins]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (created,) = [answer for answer in answers if isinstance(answer, messages.CreateGroupResponse)]
    answer = await refused(groups.stub.CreateGroup(a_creation(admins[0], telegram_group_id=42)))
    assert (*answer.said, answer.metadata) == ("ALREADY_EXISTS", "GROUP_EXISTS", {"group_id": created.group.group_id})
    assert await db.fetchval("SELECT count(*) FROM reputation.community_groups") == 1
    await groups_add_up(db)


async def test_groups_without_a_chat_may_be_alike(groups: Groups) -> None:
    admin = await groups.user()
    assert len({(await groups.create(admin)).group_id for _ in range(2)}) == 2


async def test_somebody_unknown_creates_no_group(groups: Groups, db: Connection) -> None:
    before = await everything(db)
    answer = await refused(groups.stub.CreateGroup(a_creation(new_uuid())))
    assert answer.said == ("NOT_FOUND", "USER_NOT_FOUND")
    assert await everything(db) == before


PAST, FUTURE = datetime(2026, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  # as the column holds them


@pytest.mark.parametrize(
    ("level", "score", "demotion_time", "may"),
    [
        ("restricted", "39.99", None, False),
        ("limited", "59.99", None, False),
        ("developing", "60.00", None, True),
        ("exemplary", "99.99", None, True),
        # Still in its time of grace, and when that is over.
        ("developing", "50.00", FUTURE, True),
        ("developing", "50.00", PAST, False),
    ],
)
async def test_only_those_who_are_trusted_enough_create_groups(
    groups: Groups, db: Connection, level: str, score: str, demotion_time: datetime | None, may: bool
) -> None:
    """R3: by the level that holds now, whatever is written down yet."""
    admin = await groups.user(score=score, trust_level=level, demotion_time=demotion_time)
    before = await everything(db)
    if may:
        assert (await groups.create(admin)).group_type == NEIGHBORHOOD
    else:
        answer = await refused(groups.stub.CreateGroup(a_creation(admin)))
        assert answer.said == ("FAILED_PRECONDITION", "TRUST_LEVEL_TOO_LOW")
        assert await everything(db) == before


async def test_a_group_that_is_not_there_is_not_found(groups: Groups) -> None:
    for request in (
        messages.GetGroupRequest(group_id=new_uuid()),
        messages.GetGroupRequest(telegram_group_id=12345),
    ):
        assert (await refused(groups.stub.GetGroup(request))).said == ("NOT_FOUND", "GROUP_NOT_FOUND")
