"""Analyses of a voting service as its tests talk to it, and the job that makes them, run by the test."""

import asyncio
import math
import pickle
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import numpy as np
from google.protobuf.message import Message
from tally.voting.v1 import analysis_pb2 as resources
from tally.voting.v1 import analysis_service_pb2 as messages
from tally.voting.v1 import voting_pb2 as voting_resources
from tally.voting.v1 import voting_service_pb2 as voting_messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import JobContext
from services.voting.groups.votes import Votes
from services.voting.jobs import ROLE, analyse
from services.voting.model_analysis import Ballots
from services.voting.store_analysing import read_ballots
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, a_vote, new_uuid

NUMBERS = {AGREE: 1, PASS: 0, DISAGREE: -1}
# Of each vote, by user and opinion.
Cast = Mapping[tuple[str, str], "voting_resources.Vote.ValueType"]


async def computed(function: Any, *arguments: Any) -> Any:
    """In a thread, by way of bytes, as it would go to another process and back."""
    sent = pickle.dumps((function, arguments))

    def call() -> bytes:
        received, given = pickle.loads(sent)
        return pickle.dumps(received(*given))

    return pickle.loads(await asyncio.to_thread(call))


class Analyses:
    """The stub, and the job."""

    def __init__(self, voting: Conversations, database: Database) -> None:
        self.stub = voting.analyses
        self.database = database
        self._context = JobContext({ROLE: database}, computed)

    async def run(self, conversation_id: str) -> None:
        await analyse(self._context, conversation_id)

    async def ballots(self, conversation_id: str) -> Ballots:
        """What the job reads."""
        async with self.database.snapshot() as snapshot:
            ballots = await read_ballots(snapshot, UUID(conversation_id))
        assert ballots is not None
        return ballots

    async def request(self, conversation_id: str, request_id: str = "") -> messages.RequestAnalysisResponse:
        request = messages.RequestAnalysisRequest(conversation_id=conversation_id, request_id=request_id or new_uuid())
        return await self.stub.RequestAnalysis(request)

    async def get(self, conversation_id: str, participants: bool = False) -> resources.Analysis:
        request = messages.GetAnalysisRequest(conversation_id=conversation_id, include_participants=participants)
        return (await self.stub.GetAnalysis(request)).analysis

    async def position(self, conversation_id: str, user_id: str) -> messages.GetParticipantPositionResponse:
        request = messages.GetParticipantPositionRequest(conversation_id=conversation_id, user_id=user_id)
        return await self.stub.GetParticipantPosition(request)

    async def analysed(self, conversation_id: str) -> resources.Analysis:
        """The analysis of the conversation as it is, with everybody in it."""
        await self.run(conversation_id)
        return await self.get(conversation_id, participants=True)


@asynccontextmanager
async def analyses_of(voting: Conversations, database_url: str) -> AsyncIterator[Analyses]:
    settings = DatabaseSettings(database_url=database_url, database_role=ROLE)
    async with Database.open(settings) as database:
        yield Analyses(voting, database)


async def cast(voting: Conversations, opinions: Sequence[voting_resources.Opinion], votes: Cast) -> None:
    by_id = {opinion.opinion_id: opinion for opinion in opinions}
    requests = [a_vote(by_id[opinion_id], vote, user_id) for (user_id, opinion_id), vote in votes.items()]
    for start in range(0, len(requests), 1000):
        batch = voting_messages.BatchCastVotesRequest(requests=requests[start : start + 1000])
        answer = await voting.stub.BatchCastVotes(batch)
        assert all(result.HasField("vote") for result in answer.results)


async def two_camps(
    voting: Conversations, people: int = 20, opinions: int = 8
) -> tuple[list[voting_resources.Opinion], dict[tuple[str, str], "voting_resources.Vote.ValueType"]]:
    """A conversation in which every other person agrees with every other opinion, and disagrees with those between; somebody
    in each camp passes now and then. The opinions and all votes, the authors' too."""
    conversation_id = (await voting.create()).conversation_id
    added = [await voting.add_opinion(conversation_id, body=f"Opinion {n}") for n in range(opinions)]
    votes: dict[tuple[str, str], voting_resources.Vote.ValueType] = {}
    for person in range(people):
        user_id = new_uuid()
        for n, opinion in enumerate(added):
            agrees = n % 2 == person % 2
            votes[user_id, opinion.opinion_id] = PASS if (n + person) % 7 == 0 else AGREE if agrees else DISAGREE
    await cast(voting, added, votes)
    return added, votes | {(opinion.author_id, opinion.opinion_id): AGREE for opinion in added}


def arrays(votes: Cast, opinions: Sequence[str], moderated: Sequence[str] = ()) -> Votes:
    """The votes as they are analysed, made from what was cast and not from what is stored."""
    people = sorted({user_id for user_id, _ in votes})
    ordered = sorted(opinions)
    return Votes(
        [UUID(user_id) for user_id in people],
        [UUID(opinion_id) for opinion_id in ordered],
        np.array([people.index(user_id) for user_id, _ in votes], np.int32),
        np.array([ordered.index(opinion_id) for _, opinion_id in votes], np.int32),
        np.array([NUMBERS[vote] for vote in votes.values()], np.int8),
        np.array([opinion_id in moderated for opinion_id in ordered], np.bool_),
        np.zeros(len(ordered), np.bool_),
    )


def every_number(message: Message) -> Iterator[float]:
    """Of a message and all in it."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, Message):
                yield from every_number(each)
            elif isinstance(each, float | int):
                yield each


def is_finite(message: Message) -> bool:
    return all(map(math.isfinite, every_number(message)))
