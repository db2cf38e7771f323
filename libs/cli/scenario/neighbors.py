"""The act about a group: neighbors become known, found it and join; afterwards they share food in it."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc.aio
from tally.reputation.v1 import group_pb2 as resources
from tally.reputation.v1 import group_service_pb2 as messages
from tally.reputation.v1 import reputation_service_pb2 as users
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from libs.cli.scenario.acting import DEADLINE, Advance, acting, each
from libs.cli.scenario.ledger import Act, Gathering, Ledger

NEIGHBORS = 13


class Neighbors:
    """Plays its act and keeps the ledger."""

    def __init__(self, channel: grpc.aio.Channel, ledger: Ledger) -> None:
        self._users: Any = ReputationServiceStub(channel)
        self._groups: Any = GroupServiceStub(channel)
        self._ledger = ledger

    async def gather(self, advance: Advance) -> None:
        """One founds the group, and the others join at once."""
        founder, *others = [str(uuid4()) for _ in range(NEIGHBORS)]
        await asyncio.gather(*(self._register(user_id) for user_id in (founder, *others)))
        group = resources.Group(
            name="Linden Street", group_type=resources.GROUP_TYPE_NEIGHBORHOOD, admin_user_id=founder
        )
        request = messages.CreateGroupRequest(group=group, request_id=str(uuid4()))
        created = (await self._groups.CreateGroup(request, timeout=DEADLINE)).group
        self._ledger.gathering = Gathering(created.group_id, [founder])
        with acting(self._ledger, "join a group") as act:
            await each(act, others, self._join, advance, len(others))

    async def _register(self, user_id: str) -> None:
        request = users.RegisterUserRequest(user_id=user_id, request_id=str(uuid4()))
        await self._users.RegisterUser(request, timeout=DEADLINE)

    async def _join(self, act: Act, user_id: str) -> None:
        gathering = self._ledger.gathering
        assert gathering is not None
        request = messages.JoinGroupRequest(group_id=gathering.group_id, user_id=user_id, request_id=str(uuid4()))
        await self._groups.JoinGroup(request, timeout=DEADLINE)
        gathering.members.append(user_id)
        act.accepted += 1
