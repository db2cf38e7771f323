"""A good request of every RPC, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from tally.voting.v1 import analysis_service_pb2 as analysis_messages
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.services.voting.conversations import AGREE, Conversations, a_conversation, a_vote, an_opinion, new_uuid


@dataclass(frozen=True)
class World:
    """What good requests name: an open conversation, an opinion in it, somebody who voted on it, and a locked conversation."""

    opinion: resources.Opinion
    voter: str
    locked_id: str

    @property
    def conversation_id(self) -> str:
        return self.opinion.conversation_id

    @property
    def ids(self) -> dict[str, str]:
        """Of conversation and opinion."""
        return {"conversation_id": self.conversation_id, "opinion_id": self.opinion.opinion_id}


async def a_world(voting: Conversations) -> World:
    opinion = await voting.an_opinion()
    (voter,) = await voting.voted_by(opinion, 1)
    locked_id = (await voting.create()).conversation_id
    await voting.lock(locked_id)
    return World(opinion, voter, locked_id)


def a_locking(world: World) -> dict[str, str]:
    return {
        "conversation_id": world.conversation_id,
        "moderator_id": new_uuid(),
        "reason": "over",
        "request_id": new_uuid(),
    }


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "CreateConversation": lambda world: messages.CreateConversationRequest(
        conversation=a_conversation(), request_id=new_uuid()
    ),
    "LockConversation": lambda world: messages.LockConversationRequest(**a_locking(world)),
    "UnlockConversation": lambda world: messages.UnlockConversationRequest(
        **(a_locking(world) | {"conversation_id": world.locked_id})
    ),
    "CreateOpinion": lambda world: an_opinion(world.conversation_id),
    "ModerateOpinion": lambda world: messages.ModerateOpinionRequest(
        **world.ids,
        action=messages.MODERATION_ACTION_HIDE,
        moderator_id=new_uuid(),
        reason="off topic",
        request_id=new_uuid(),
    ),
    "DeleteOpinion": lambda world: messages.DeleteOpinionRequest(
        **world.ids, actor_id=new_uuid(), reason="written in anger", request_id=new_uuid()
    ),
    "CastVote": lambda world: a_vote(world.opinion),
    "CancelVote": lambda world: messages.CancelVoteRequest(**world.ids, user_id=world.voter, request_id=new_uuid()),
    "BatchCastVotes": lambda world: messages.BatchCastVotesRequest(requests=[a_vote(world.opinion, AGREE)]),
}
READS: dict[str, Callable[[World], Message]] = {
    "GetConversation": lambda world: messages.GetConversationRequest(conversation_id=world.conversation_id),
    "ListConversations": lambda world: messages.ListConversationsRequest(),
    "GetOpinion": lambda world: messages.GetOpinionRequest(**world.ids),
    "ListOpinions": lambda world: messages.ListOpinionsRequest(conversation_id=world.conversation_id),
    "ListVotes": lambda world: messages.ListVotesRequest(
        conversation_id=world.conversation_id, opinion_id=world.opinion.opinion_id
    ),
    "ListNextOpinions": lambda world: messages.ListNextOpinionsRequest(
        conversation_id=world.conversation_id, user_id=world.voter
    ),
}
# Those of AnalysisService, of which RequestAnalysis changes something.
ANALYSES: dict[str, Callable[[World], Message]] = {
    "RequestAnalysis": lambda world: analysis_messages.RequestAnalysisRequest(
        conversation_id=world.conversation_id, request_id=new_uuid()
    ),
    "GetAnalysis": lambda world: analysis_messages.GetAnalysisRequest(conversation_id=world.conversation_id),
    "GetParticipantPosition": lambda world: analysis_messages.GetParticipantPositionRequest(
        conversation_id=world.conversation_id, user_id=world.voter
    ),
}


@dataclass
class AnalysisCalls:
    """AnalysisService, to be called by the names of its RPCs."""

    stub: Any
