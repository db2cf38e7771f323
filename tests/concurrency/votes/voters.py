"""People who vote through several services at once, and what they were answered."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.data.commit_tokens import decode_token
from tests.concurrency.answers import answer_of, open_channel, reason_of

VOTES = (resources.VOTE_AGREE, resources.VOTE_DISAGREE, resources.VOTE_PASS)
# In the database.
NUMBERS = {resources.VOTE_AGREE: 1, resources.VOTE_DISAGREE: -1, resources.VOTE_PASS: 0}
DEADLINE = 60.0


def new_id() -> str:
    return str(uuid.uuid4())


def an_opinion(conversation_id: str) -> messages.CreateOpinionRequest:
    return messages.CreateOpinionRequest(
        conversation_id=conversation_id, author_id=new_id(), body="Yes", request_id=new_id()
    )


def a_vote(
    conversation_id: str, opinion_id: str, vote: "resources.Vote.ValueType", user_id: str = ""
) -> messages.CastVoteRequest:
    return messages.CastVoteRequest(
        conversation_id=conversation_id,
        opinion_id=opinion_id,
        user_id=user_id or new_id(),
        vote=vote,
        request_id=new_id(),
    )


@dataclass(slots=True)
class Told:
    """One request and what became of it.

    Args:
        reason: of the error; empty where there was none.
    """

    request: Any
    response: Any
    reason: str = ""

    @property
    def ok(self) -> bool:
        return not self.reason

    @property
    def xid(self) -> int:
        """Of the commit."""
        return decode_token(self.response.commit_token)


class Voters:
    """Calls that go to the services in turn."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self.stubs = [VotingServiceStub(channel) for channel in channels]
        self._calls = 0

    async def tell(self, rpc: str, request: Any, deadline: float = DEADLINE) -> Told:
        self._calls += 1
        stub = self.stubs[self._calls % len(self.stubs)]
        answer = await answer_of(getattr(stub, rpc)(request, timeout=deadline))
        if hasattr(answer, "commit_token"):
            return Told(request, answer)
        return Told(request, answer, reason_of(answer)[0] or "NO_ANSWER")

    async def conversation(self) -> str:
        conversation = resources.Conversation(title="Cars on Main Street?", creator_id=new_id())
        request = messages.CreateConversationRequest(conversation=conversation, request_id=new_id())
        return (await self.stubs[0].CreateConversation(request, wait_for_ready=True)).conversation.conversation_id

    async def opinions(self, conversation_id: str, number: int) -> list[str]:
        """Each with its author's vote."""
        told = await asyncio.gather(*(self.add_opinion(conversation_id) for _ in range(number)))
        assert all(each.ok and not each.response.author_vote_pending for each in told)
        return [each.response.opinion.opinion_id for each in told]

    async def add_opinion(self, conversation_id: str) -> Told:
        return await self.tell("CreateOpinion", an_opinion(conversation_id))

    async def vote(
        self, conversation_id: str, opinion_id: str, vote: "resources.Vote.ValueType", user_id: str = ""
    ) -> Told:
        return await self.tell("CastVote", a_vote(conversation_id, opinion_id, vote, user_id))

    async def cancel(self, conversation_id: str, opinion_id: str, user_id: str) -> Told:
        request = messages.CancelVoteRequest(
            conversation_id=conversation_id, opinion_id=opinion_id, user_id=user_id, request_id=new_id()
        )
        return await self.tell("CancelVote", request)

    async def lock(self, conversation_id: str) -> Told:
        request = messages.LockConversationRequest(
            conversation_id=conversation_id, moderator_id=new_id(), reason="over", request_id=new_id()
        )
        return await self.tell("LockConversation", request)

    async def unlock(self, conversation_id: str) -> Told:
        request = messages.UnlockConversationRequest(
            conversation_id=conversation_id, moderator_id=new_id(), reason="not over", request_id=new_id()
        )
        return await self.tell("UnlockConversation", request)

    async def moderate(
        self, conversation_id: str, opinion_id: str, action: "messages.ModerationAction.ValueType"
    ) -> Told:
        request = messages.ModerateOpinionRequest(
            conversation_id=conversation_id,
            opinion_id=opinion_id,
            action=action,
            moderator_id=new_id(),
            reason="off topic",
            request_id=new_id(),
        )
        return await self.tell("ModerateOpinion", request)

    async def delete(self, conversation_id: str, opinion_id: str) -> Told:
        request = messages.DeleteOpinionRequest(
            conversation_id=conversation_id,
            opinion_id=opinion_id,
            actor_id=new_id(),
            reason="written in anger",
            request_id=new_id(),
        )
        return await self.tell("DeleteOpinion", request)


@asynccontextmanager
async def voters_of(addresses: Sequence[str], channels_each: int = 5) -> AsyncIterator[Voters]:
    """With several connections to each service."""
    async with AsyncExitStack() as stack:
        yield Voters(
            [await stack.enter_async_context(open_channel(a)) for _ in range(channels_each) for a in addresses]
        )
