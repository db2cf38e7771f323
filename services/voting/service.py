"""The RPCs of `tally.voting.v1.VotingService`."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc.aio
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from services.voting import convert, store_conversations, store_listings, store_moderation, store_reads
from services.voting.casting import Casting
from services.voting.exporting import export
from services.voting.importing import Importing
from services.voting.model import ModerationAction

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_NEXT = 10


class VotingService(VotingServiceServicer):
    """Conversations, opinions and votes; every count is exact at every commit."""

    def __init__(self, database: Database, casting: Casting) -> None:
        self._database = database
        self._casting = casting

    async def CreateConversation(
        self, request: messages.CreateConversationRequest, context: Context
    ) -> messages.CreateConversationResponse:
        new, request_id = convert.to_new_conversation(request.conversation), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_conversations.create(tx, new, request_id))
        conversation, token, replayed = first_answer(committed)
        return messages.CreateConversationResponse(
            conversation=convert.to_conversation(conversation), commit_token=token, replayed=replayed
        )

    async def GetConversation(
        self, request: messages.GetConversationRequest, context: Context
    ) -> messages.GetConversationResponse:
        # The primary, so that whoever just wrote reads it.
        conversation = await self._database.read(
            partial(store_reads.get, conversation_id=parse_id(request.conversation_id)), PRIMARY
        )
        return messages.GetConversationResponse(conversation=convert.to_conversation(conversation))

    async def ListConversations(
        self, request: messages.ListConversationsRequest, context: Context
    ) -> messages.ListConversationsResponse:
        conversations, next_page_token = await self._database.read(
            partial(store_reads.list_newest, size=page_size(request.page_size), token=request.page_token)
        )
        return messages.ListConversationsResponse(
            conversations=map(convert.to_conversation, conversations), next_page_token=next_page_token
        )

    async def LockConversation(
        self, request: messages.LockConversationRequest, context: Context
    ) -> messages.LockConversationResponse:
        moderation = convert.to_locking(request, ModerationAction.LOCK)
        request_id = parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_conversations.lock(tx, moderation, request_id))
        conversation, token, replayed = first_answer(committed)
        return messages.LockConversationResponse(
            conversation=convert.to_conversation(conversation), commit_token=token, replayed=replayed
        )

    async def UnlockConversation(
        self, request: messages.UnlockConversationRequest, context: Context
    ) -> messages.UnlockConversationResponse:
        moderation = convert.to_locking(request, ModerationAction.UNLOCK)
        request_id = parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_conversations.unlock(tx, moderation, request_id))
        conversation, token, replayed = first_answer(committed)
        return messages.UnlockConversationResponse(
            conversation=convert.to_conversation(conversation), commit_token=token, replayed=replayed
        )

    async def CreateOpinion(
        self, request: messages.CreateOpinionRequest, context: Context
    ) -> messages.CreateOpinionResponse:
        committed = await self._casting.create_opinion(convert.to_create_opinion(request))
        return convert.to_create_opinion_response(committed)

    async def GetOpinion(self, request: messages.GetOpinionRequest, context: Context) -> messages.GetOpinionResponse:
        opinion = await self._database.read(
            partial(
                store_reads.get_opinion,
                conversation_id=parse_id(request.conversation_id),
                opinion_id=parse_id(request.opinion_id),
            ),
            PRIMARY,
        )
        return messages.GetOpinionResponse(opinion=convert.to_opinion(opinion))

    async def ListOpinions(
        self, request: messages.ListOpinionsRequest, context: Context
    ) -> messages.ListOpinionsResponse:
        opinions, next_page_token = await self._database.read(
            partial(
                store_listings.list_opinions,
                conversation_id=parse_id(request.conversation_id),
                order=convert.to_order(request),
                group_id=request.group_id,
                moderated=request.moderated,
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListOpinionsResponse(opinions=convert.to_opinions(opinions), next_page_token=next_page_token)

    async def ModerateOpinion(
        self, request: messages.ModerateOpinionRequest, context: Context
    ) -> messages.ModerateOpinionResponse:
        moderation, request_id = convert.to_moderation(request), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_moderation.moderate(tx, moderation, request_id))
        return convert.to_moderate_response(committed)

    async def DeleteOpinion(
        self, request: messages.DeleteOpinionRequest, context: Context
    ) -> messages.DeleteOpinionResponse:
        deletion, request_id = convert.to_deletion(request), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_moderation.delete(tx, deletion, request_id))
        return convert.to_delete_response(committed)

    async def CastVote(self, request: messages.CastVoteRequest, context: Context) -> messages.CastVoteResponse:
        return convert.to_cast_response(await self._casting.vote(convert.to_cast(request)))

    async def CancelVote(self, request: messages.CancelVoteRequest, context: Context) -> messages.CancelVoteResponse:
        return convert.to_cancel_response(await self._casting.vote(convert.to_cancel(request)))

    async def BatchCastVotes(
        self, request: messages.BatchCastVotesRequest, context: Context
    ) -> messages.BatchCastVotesResponse:
        return messages.BatchCastVotesResponse(results=await self._casting.cast_each(request.requests))

    async def StreamVotes(
        self, request_iterator: AsyncIterator[messages.StreamVotesRequest], context: Context
    ) -> AsyncIterator[messages.StreamVotesResponse]:
        async for result in self._casting.cast_stream(message.request async for message in request_iterator):
            yield messages.StreamVotesResponse(result=result)

    async def ListVotes(self, request: messages.ListVotesRequest, context: Context) -> messages.ListVotesResponse:
        conversation_id = parse_id(request.conversation_id)
        if request.WhichOneof("selection") == "opinion_id":
            listing = partial(store_reads.list_votes_on, opinion_id=parse_id(request.opinion_id))
        else:
            listing = partial(store_reads.list_votes_of, user_id=parse_id(request.user_id))
        votes, next_page_token = await self._database.read(
            partial(
                listing,
                conversation_id=conversation_id,
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListVotesResponse(votes=map(convert.to_vote, votes), next_page_token=next_page_token)

    async def ListNextOpinions(
        self, request: messages.ListNextOpinionsRequest, context: Context
    ) -> messages.ListNextOpinionsResponse:
        # The primary, so that what was just voted on does not come again.
        opinions = await self._database.read(
            partial(
                store_listings.list_next,
                conversation_id=parse_id(request.conversation_id),
                user_id=parse_id(request.user_id),
                size=request.page_size or DEFAULT_NEXT,
            ),
            PRIMARY,
        )
        return messages.ListNextOpinionsResponse(opinions=convert.to_opinions(opinions))

    async def ImportConversation(
        self, request_iterator: AsyncIterator[messages.ImportConversationRequest], context: Context
    ) -> messages.ImportConversationResponse:
        return await Importing(self._database).run(request_iterator)

    async def ExportConversation(
        self, request: messages.ExportConversationRequest, context: Context
    ) -> AsyncIterator[messages.ExportConversationResponse]:
        async for piece in export(self._database, parse_id(request.conversation_id)):
            yield piece
