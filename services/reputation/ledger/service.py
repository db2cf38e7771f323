"""The RPCs of `tally.reputation.v1.ReputationService`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import grpc.aio
from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from libs.data.shared_reads import SharedReads
from libs.data.transaction import Record
from services.reputation.ledger import convert, store_reads, store_users
from services.reputation.ledger.errors import UserNotFound
from services.reputation.ledger.recording import Recording

Context = grpc.aio.ServicerContext[Any, Any]


class ReputationService(ReputationServiceServicer):
    """Ledgers and the scores that follow from them.

    Args:
        max_waiting: lookups that may wait; more are refused.
    """

    def __init__(self, database: Database, recording: Recording, *, max_waiting: int) -> None:
        self._database = database
        self._recording = recording
        self._reputations: SharedReads[str, Record] = SharedReads(
            self._read, name="reputation.reputations", max_waiting=max_waiting
        )

    async def RegisterUser(
        self, request: messages.RegisterUserRequest, context: Context
    ) -> messages.RegisterUserResponse:
        new, request_id = convert.to_new_user(request), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_users.register(tx, new, request_id))
        user, token, replayed = first_answer(committed)
        return messages.RegisterUserResponse(user=convert.to_user(user), commit_token=token, replayed=replayed)

    async def GetUser(self, request: messages.GetUserRequest, context: Context) -> messages.GetUserResponse:
        # The primary, so that whoever just wrote reads it.
        user = await self._database.read(partial(store_reads.get_user, user_id=parse_id(request.user_id)), PRIMARY)
        return messages.GetUserResponse(user=convert.to_user(user))

    async def GetReputation(
        self, request: messages.GetReputationRequest, context: Context
    ) -> messages.GetReputationResponse:
        row = await self._reputations.read(request.user_id.lower())
        if row is None:
            raise UserNotFound(parse_id(request.user_id))
        return messages.GetReputationResponse(reputation=resources.Reputation(**convert.to_reputation(row)))

    async def BatchGetReputations(
        self, request: messages.BatchGetReputationsRequest, context: Context
    ) -> messages.BatchGetReputationsResponse:
        user_ids = [user_id.lower() for user_id in request.user_ids]
        found = await self._read(user_ids)
        return convert.to_results(user_ids, found)

    async def ListReputationEvents(
        self, request: messages.ListReputationEventsRequest, context: Context
    ) -> messages.ListReputationEventsResponse:
        events, next_page_token = await self._database.read(
            partial(
                store_reads.list_events,
                user_id=parse_id(request.user_id),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListReputationEventsResponse(
            events=map(convert.to_event, events), next_page_token=next_page_token
        )

    async def RecordReputationEvent(
        self, request: messages.RecordReputationEventRequest, context: Context
    ) -> messages.RecordReputationEventResponse:
        committed = await self._recording.submit(convert.to_record(request))
        return messages.RecordReputationEventResponse(**convert.to_recorded(committed))

    async def ReverseReputationEvent(
        self, request: messages.ReverseReputationEventRequest, context: Context
    ) -> messages.ReverseReputationEventResponse:
        committed = await self._recording.submit(convert.to_reverse(request))
        return messages.ReverseReputationEventResponse(**convert.to_recorded(committed))

    async def VerifyReputation(
        self, request: messages.VerifyReputationRequest, context: Context
    ) -> messages.VerifyReputationResponse:
        async with self._database.snapshot() as snapshot:
            verification = await store_reads.verify(snapshot, parse_id(request.user_id))
        return convert.to_verification(verification)

    async def ListLeaders(self, request: messages.ListLeadersRequest, context: Context) -> messages.ListLeadersResponse:
        leaders, next_page_token = await self._database.read(
            partial(
                store_reads.list_leaders,
                level=convert.to_level(request.trust_level),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListLeadersResponse(leaders=map(convert.to_leader, leaders), next_page_token=next_page_token)

    async def _read(self, user_ids: Sequence[str]) -> Mapping[str, Record]:
        # The primary, so that whoever just wrote reads it.
        return await self._database.read(partial(store_reads.reputations, user_ids=user_ids), PRIMARY)
