"""Groups are listed by name, all of them, those of a kind and those of a member, page by page."""

import pytest
from tally.reputation.v1 import group_service_pb2 as messages

from tests.servers import refused
from tests.services.reputation.groups.circle import COMMUNITY, NEIGHBORHOOD, Groups
from tests.stored import Connection

NAMES = ["Allotments", "Bakers", "Cyclists", "Dancers", "Elm Street", "Fig Lane", "Gardeners"]


@pytest.fixture
async def member(groups: Groups) -> str:
    """Of every second group; and groups of either kind to be listed."""
    admin, member = await groups.user(), await groups.user()
    for n, name in reversed(list(enumerate(NAMES))):
        group = await groups.create(admin, name=name, group_type=COMMUNITY if n < 4 else NEIGHBORHOOD)
        if n % 2 == 0:
            await groups.join(group.group_id, member)
        elif n == 3:
            await groups.leave(await groups.join(group.group_id, member))
    return member


@pytest.mark.parametrize("page_size", [0, 1, 3, 7])
async def test_each_listing_is_by_name_whatever_the_size_of_its_pages(
    groups: Groups, member: str, page_size: int
) -> None:
    assert await groups.listed(page_size=page_size) == NAMES
    assert await groups.listed(page_size=page_size, group_type=COMMUNITY) == NAMES[:4]
    assert await groups.listed(page_size=page_size, member_id=member) == NAMES[::2]
    assert await groups.listed(page_size=page_size, member_id=member, group_type=COMMUNITY) == NAMES[:4:2]


@pytest.mark.usefixtures("member")
async def test_groups_of_one_name_are_all_listed(groups: Groups, db: Connection) -> None:
    await db.execute("UPDATE reputation.community_groups SET name = 'Neighbours'")
    assert await groups.listed(page_size=2) == ["Neighbours"] * len(NAMES)


async def test_a_token_of_another_listing_is_refused(groups: Groups, member: str) -> None:
    token = (await groups.stub.ListGroups(messages.ListGroupsRequest(page_size=1))).next_page_token
    group = await groups.create()
    await groups.join(group.group_id)
    members = messages.ListGroupMembersRequest(group_id=group.group_id, page_size=1)
    of_members = (await groups.stub.ListGroupMembers(members)).next_page_token
    for call in (
        groups.stub.ListGroups(messages.ListGroupsRequest(page_token=token, group_type=COMMUNITY)),
        groups.stub.ListGroups(messages.ListGroupsRequest(page_token=token, member_id=member)),
        groups.stub.ListGroups(messages.ListGroupsRequest(page_token=of_members)),
        groups.stub.ListGroups(messages.ListGroupsRequest(page_token="nonsense")),
        groups.stub.ListGroupMembers(messages.ListGroupMembersRequest(group_id=group.group_id, page_token=token)),
        groups.stub.ListGroupActivity(messages.ListGroupActivityRequest(page_token=token)),
    ):
        answer = await refused(call)
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"])
