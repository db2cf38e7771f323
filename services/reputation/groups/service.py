"""The RPCs of `tally.reputation.v1.GroupService`."""

from functools import partial
from typing import Any

import grpc.aio
from tally.reputation.v1 import group_service_pb2 as messages
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from libs.rpc.times import to_timestamp
from services.reputation.groups import convert, store_activity, store_groups, store_modes, store_reads
from services.reputation.groups.joining import Joining
from services.reputation.groups.refreshing import Refreshing
from services.reputation.ledger.convert import to_user

Context = grpc.aio.ServicerContext[Any, Any]


class GroupService(GroupServiceServicer):
    """Groups, their members, and what goes on in them."""

    def __init__(self, database: Database, joining: Joining, refreshing: Refreshing) -> None:
        self._database = database
        self._joining = joining
        self._refreshing = refreshing

    async def CreateGroup(self, request: messages.CreateGroupRequest, context: Context) -> messages.CreateGroupResponse:
        new, request_id = convert.to_new_group(request.group), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_groups.create(tx, new, request_id))
        group, token, replayed = first_answer(committed)
        return messages.CreateGroupResponse(group=convert.to_group(group), commit_token=token, replayed=replayed)

    async def GetGroup(self, request: messages.GetGroupRequest, context: Context) -> messages.GetGroupResponse:
        if request.WhichOneof("key") == "group_id":
            read = partial(store_reads.get, group_id=parse_id(request.group_id))
        else:
            read = partial(store_reads.get_of_chat, telegram_group_id=request.telegram_group_id)
        # The primary, so that whoever just wrote reads it.
        return messages.GetGroupResponse(group=convert.to_group(await self._database.read(read, PRIMARY)))

    async def ListGroups(self, request: messages.ListGroupsRequest, context: Context) -> messages.ListGroupsResponse:
        groups, next_page_token = await self._database.read(
            partial(
                store_reads.list_groups,
                group_type=convert.to_group_type(request.group_type),
                member_id=parse_id(request.member_id) if request.member_id else None,
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListGroupsResponse(groups=map(convert.to_group, groups), next_page_token=next_page_token)

    async def ListGroupMembers(
        self, request: messages.ListGroupMembersRequest, context: Context
    ) -> messages.ListGroupMembersResponse:
        members, next_page_token = await self._database.read(
            partial(
                store_reads.list_members,
                group_id=parse_id(request.group_id),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListGroupMembersResponse(
            members=map(convert.to_membership, members), next_page_token=next_page_token
        )

    async def JoinGroup(self, request: messages.JoinGroupRequest, context: Context) -> messages.JoinGroupResponse:
        changed = await self._joining.submit(convert.to_join(request))
        return messages.JoinGroupResponse(**convert.to_changed(changed), member_count=changed.value.change.member_count)

    async def LeaveGroup(self, request: messages.LeaveGroupRequest, context: Context) -> messages.LeaveGroupResponse:
        changed = await self._joining.submit(convert.to_leave(request))
        return messages.LeaveGroupResponse(
            **convert.to_changed(changed), member_count=changed.value.change.member_count
        )

    async def SetGroupRole(
        self, request: messages.SetGroupRoleRequest, context: Context
    ) -> messages.SetGroupRoleResponse:
        changed = await self._joining.submit(convert.to_set_role(request))
        return messages.SetGroupRoleResponse(**convert.to_changed(changed))

    async def SetSharingMode(
        self, request: messages.SetSharingModeRequest, context: Context
    ) -> messages.SetSharingModeResponse:
        user_id, request_id = parse_id(request.user_id), parse_id(request.request_id)
        asked = (user_id, request.sharing_mode, request.reason, request_id)
        committed = await self._database.write(lambda tx: store_modes.set_sharing_mode(tx, *asked))
        switched, token, replayed = first_answer(committed)
        return messages.SetSharingModeResponse(
            user=to_user(switched.user),
            transition=convert.to_transition(switched.transition),
            commit_token=token,
            replayed=replayed,
        )

    async def GetGroupActivity(
        self, request: messages.GetGroupActivityRequest, context: Context
    ) -> messages.GetGroupActivityResponse:
        activity, refreshed_time = await self._database.read(
            partial(store_activity.get, group_id=parse_id(request.group_id))
        )
        return messages.GetGroupActivityResponse(
            activity=convert.to_activity(activity), refreshed_time=to_timestamp(refreshed_time)
        )

    async def ListGroupActivity(
        self, request: messages.ListGroupActivityRequest, context: Context
    ) -> messages.ListGroupActivityResponse:
        activities, refreshed_time, next_page_token = await self._database.read(
            partial(
                store_activity.list_most_successful,
                group_type=convert.to_group_type(request.group_type),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListGroupActivityResponse(
            activities=map(convert.to_activity, activities),
            refreshed_time=to_timestamp(refreshed_time),
            next_page_token=next_page_token,
        )

    async def RefreshGroupActivity(
        self, request: messages.RefreshGroupActivityRequest, context: Context
    ) -> messages.RefreshGroupActivityResponse:
        return convert.to_refreshed(await self._refreshing.refresh(parse_id(request.request_id)))
