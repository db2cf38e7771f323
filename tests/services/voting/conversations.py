"""A voting service as its tests talk to it: short words for the calls they make most."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from services.voting.__main__ import compose
from services.voting.settings import VotingSettings
from tests.servers import channel_to, quick

if TYPE_CHECKING:  # in the stubs only
    from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceAsyncStub
    from tally.voting.v1.voting_service_pb2_grpc import VotingServiceAsyncStub

AGREE, DISAGREE, PASS = resources.VOTE_AGREE, resources.VOTE_DISAGREE, resources.VOTE_PASS


def new_uuid() -> str:
    return str(uuid4())


def a_conversation(**changes: Any) -> resources.Conversation:
    """A conversation that is good as it is."""
    fields: dict[str, Any] = {
        "title": "Should Main Street be closed to cars?",
        "description": "From the square to the bridge.\nOn weekends, to begin with.",
        "creator_id": new_uuid(),
    }
    return resources.Conversation(**(fields | changes))


def a_vote(
    opinion: resources.Opinion, vote: "resources.Vote.ValueType" = AGREE, user_id: str = "", request_id: str = ""
) -> messages.CastVoteRequest:
    return messages.CastVoteRequest(
        conversation_id=opinion.conversation_id,
        opinion_id=opinion.opinion_id,
        user_id=user_id or new_uuid(),
        vote=vote,
        request_id=request_id or new_uuid(),
    )


def an_opinion(conversation_id: str, **changes: str) -> messages.CreateOpinionRequest:
    fields = {
        "conversation_id": conversation_id,
        "author_id": new_uuid(),
        "body": "Yes, on weekends",
        "request_id": new_uuid(),
    }
    return messages.CreateOpinionRequest(**(fields | changes))


class Conversations:
    """The stubs, and builders of what tests need first."""

    def __init__(self, stub: "VotingServiceAsyncStub", analyses: "AnalysisServiceAsyncStub") -> None:
        self.stub = stub
        self.analyses = analyses

    async def create(self, **changes: Any) -> resources.Conversation:
        request = messages.CreateConversationRequest(conversation=a_conversation(**changes), request_id=new_uuid())
        return (await self.stub.CreateConversation(request)).conversation

    async def add_opinion(self, conversation_id: str, **changes: str) -> resources.Opinion:
        """With its author's vote cast."""
        answer = await self.stub.CreateOpinion(an_opinion(conversation_id, **changes))
        assert not answer.author_vote_pending
        return answer.opinion

    async def an_opinion(self) -> resources.Opinion:
        """In a conversation of its own, with its author's vote."""
        return await self.add_opinion((await self.create()).conversation_id)

    async def vote(
        self, opinion: resources.Opinion, vote: "resources.Vote.ValueType" = AGREE, user_id: str = ""
    ) -> messages.CastVoteResponse:
        return await self.stub.CastVote(a_vote(opinion, vote, user_id))

    async def voted_by(
        self, opinion: resources.Opinion, people: int, vote: "resources.Vote.ValueType" = AGREE
    ) -> list[str]:
        """The users; in batches."""
        users = [new_uuid() for _ in range(people)]
        for start in range(0, people, 1000):
            requests = [a_vote(opinion, vote, user) for user in users[start : start + 1000]]
            answer = await self.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=requests))
            assert all(result.HasField("vote") for result in answer.results)
        return users

    async def cancel(
        self, opinion: resources.Opinion, user_id: str, request_id: str = ""
    ) -> messages.CancelVoteResponse:
        request = messages.CancelVoteRequest(
            conversation_id=opinion.conversation_id,
            opinion_id=opinion.opinion_id,
            user_id=user_id,
            request_id=request_id or new_uuid(),
        )
        return await self.stub.CancelVote(request)

    async def moderate(
        self, opinion: resources.Opinion, action: "messages.ModerationAction.ValueType"
    ) -> messages.ModerateOpinionResponse:
        return await self.stub.ModerateOpinion(
            messages.ModerateOpinionRequest(
                conversation_id=opinion.conversation_id,
                opinion_id=opinion.opinion_id,
                action=action,
                moderator_id=new_uuid(),
                reason="off topic",
                request_id=new_uuid(),
            )
        )

    async def delete(self, opinion: resources.Opinion) -> messages.DeleteOpinionResponse:
        return await self.stub.DeleteOpinion(
            messages.DeleteOpinionRequest(
                conversation_id=opinion.conversation_id,
                opinion_id=opinion.opinion_id,
                actor_id=opinion.author_id or new_uuid(),
                reason="written in anger",
                request_id=new_uuid(),
            )
        )

    async def lock(self, conversation_id: str) -> messages.LockConversationResponse:
        return await self.stub.LockConversation(
            messages.LockConversationRequest(
                conversation_id=conversation_id, moderator_id=new_uuid(), reason="over", request_id=new_uuid()
            )
        )

    async def unlock(self, conversation_id: str) -> messages.UnlockConversationResponse:
        return await self.stub.UnlockConversation(
            messages.UnlockConversationRequest(
                conversation_id=conversation_id, moderator_id=new_uuid(), reason="not over", request_id=new_uuid()
            )
        )

    async def get(self, conversation_id: str) -> resources.Conversation:
        request = messages.GetConversationRequest(conversation_id=conversation_id)
        return (await self.stub.GetConversation(request)).conversation

    async def get_opinion(self, opinion: resources.Opinion) -> resources.Opinion:
        request = messages.GetOpinionRequest(conversation_id=opinion.conversation_id, opinion_id=opinion.opinion_id)
        return (await self.stub.GetOpinion(request)).opinion

    async def stream(self, requests: Iterable[messages.CastVoteRequest]) -> list[messages.CastVoteResult]:
        call = self.stub.StreamVotes(messages.StreamVotesRequest(request=request) for request in requests)
        return [message.result async for message in call]


def three(counts: resources.OpinionCounts) -> tuple[int, int, int]:
    """Agrees, disagrees, passes."""
    return counts.agrees, counts.disagrees, counts.passes


def totals(counts: resources.ConversationCounts) -> tuple[int, int, int]:
    """Opinions, votes, participants."""
    return counts.opinion_count, counts.vote_count, counts.participant_count


@asynccontextmanager
async def voting_service(database_url: str, **settings: object) -> AsyncIterator[Conversations]:
    """A voting service on this database, with the rights it has in production."""
    quiet = {"voting_author_votes_seconds": 3600.0}
    made = quick(VotingSettings, database_url, "tally_voting", **(quiet | settings))
    async with channel_to("voting", made, compose) as channel:
        yield Conversations(VotingServiceStub(channel), AnalysisServiceStub(channel))
