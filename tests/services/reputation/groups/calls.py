"""A good request of every RPC of groups, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from tally.reputation.v1 import group_service_pb2 as messages

from tests.services.reputation.groups.circle import (
    Groups,
    a_creation,
    a_join,
    a_leave,
    a_refresh,
    a_role,
    a_switch,
)


@dataclass(frozen=True)
class World:
    """What good requests name: a group with an admin and a member, and somebody who is in no group."""

    group_id: str
    admin: str
    member: str
    stranger: str


async def a_world(groups: Groups) -> World:
    admin, member, stranger = await groups.users(3)
    group = await groups.create(admin, telegram_group_id=abs(hash(admin)) % 2**62 + 1)
    await groups.join(group.group_id, member)
    return World(group.group_id, admin, member, stranger)


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "CreateGroup": lambda world: a_creation(world.stranger),
    "JoinGroup": lambda world: a_join(world.group_id, world.stranger),
    "SetGroupRole": lambda world: a_role(world.group_id, world.member, world.admin),
    "LeaveGroup": lambda world: a_leave(world.group_id, world.member),
    "SetSharingMode": lambda world: a_switch(world.stranger),
    "RefreshGroupActivity": lambda world: a_refresh(),
}
READS: dict[str, Callable[[World], Message]] = {
    "GetGroup": lambda world: messages.GetGroupRequest(group_id=world.group_id),
    "ListGroups": lambda world: messages.ListGroupsRequest(member_id=world.member),
    "ListGroupMembers": lambda world: messages.ListGroupMembersRequest(group_id=world.group_id),
    "GetGroupActivity": lambda world: messages.GetGroupActivityRequest(group_id=world.group_id),
    "ListGroupActivity": lambda world: messages.ListGroupActivityRequest(),
}
