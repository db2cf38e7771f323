"""The one way to vote and to add opinions: unary, batched or streamed, everything meets in one lane in order of arrival."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import structlog
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.group_commit import GroupCommit
from libs.rpc.many import answered_in_order, outcomes_of_each
from services.voting import convert, store
from services.voting.model import AuthorVote, CancelVote, CastVote, Command, Created, CreateOpinion, Voted
from services.voting.settings import VotingSettings

log = structlog.get_logger(__name__)


class Casting:
    """Takes votes and opinions on and answers each after its commit."""

    def __init__(self, database: Database, settings: VotingSettings) -> None:
        self._lane: GroupCommit[Command, Voted | Created] = GroupCommit(
            database,
            store.vote_and_create,
            name="voting.votes",
            max_batch=settings.voting_max_batch,
            max_queue=settings.voting_max_queue,
        )
        self._window = settings.voting_stream_window

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def vote(self, command: CastVote | CancelVote) -> Committed[Voted]:
        return cast("Committed[Voted]", await self._lane.submit(command))

    async def create_opinion(self, command: CreateOpinion) -> Committed[Created]:
        """Adds the opinion, then casts its author's vote by a transaction of its own. The opinion stands even if that
        fails: the vote stays due, and is cast later."""
        committed = cast("Committed[Created]", await self._lane.submit(command))
        created = committed.value
        if not created.author_vote_due:
            return committed
        opinion = created.opinion
        due = AuthorVote(opinion.conversation_id, opinion.opinion_id, opinion.author_id)
        try:
            voted = await self._lane.submit(due)
        except TallyError as error:
            log.info("author_vote_postponed", opinion_id=str(opinion.opinion_id), reason=error.reason)
            return committed
        created.author_vote_due, created.token = False, voted.token
        return Committed(created, voted.token or committed.token)

    async def cast_due(self, due: Sequence[AuthorVote]) -> int:
        """Casts authors' votes that are due, unless that has happened; how many were done without an error."""
        outcomes = await self._lane.submit_many(due)
        return sum(not isinstance(outcome, TallyError) for outcome in outcomes)

    async def cast_each(
        self, requests: Sequence[messages.CastVoteRequest], path: str = "requests[{}]."
    ) -> list[messages.CastVoteResult]:
        """One result a request, in order. A request that is bad, or fails, fails alone."""
        outcomes = await outcomes_of_each(requests, convert.to_cast, self._lane.submit_many, path)
        return [convert.to_cast_result(cast("Committed[Voted] | TallyError", outcome)) for outcome in outcomes]

    def cast_stream(self, requests: AsyncIterator[messages.CastVoteRequest]) -> AsyncIterator[messages.CastVoteResult]:
        """One result a request, in order, with at most a window of votes in flight.

        When a stream ends early, by either side, what is in a transaction commits; what still waits is dropped.
        """
        return answered_in_order(requests, self._cast_one, self._window)

    async def _cast_one(self, request: messages.CastVoteRequest) -> messages.CastVoteResult:
        try:
            (result,) = await self.cast_each([request], "request.")
        except TallyError as error:  # a full queue, say, fails this one: the stream and what it has in flight go on
            return convert.to_cast_result(error)
        return result
