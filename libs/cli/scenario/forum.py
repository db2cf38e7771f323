"""The acts of the scenario that are about a conversation: it is imported, then people vote live and write opinions."""

import asyncio
import random
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import grpc.aio
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli.scenario.acting import DEADLINE, Advance, acting, each
from libs.cli.scenario.forum_pages import all_opinions
from libs.cli.scenario.ledger import Act, Conversation, Ledger
from libs.cli.scenario.sources import Source

PEOPLE, VOTES_EACH = 200, 8
WRITERS, CHANGES, CANCELLATIONS, HIDDEN = 40, 300, 100, 3
# Of the live votes, whose request is sent twice.
TWICE = 0.04
_IMPORT_SECONDS = 120.0
_CHOICES = (resources.VOTE_AGREE, resources.VOTE_DISAGREE, resources.VOTE_PASS)


class Forum:
    """Plays act after act and keeps the ledger."""

    def __init__(self, channel: grpc.aio.Channel, ledger: Ledger, seed: int) -> None:
        self._stub: Any = VotingServiceStub(channel)
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311  # a scenario, not a secret
        self._people = [str(uuid4()) for _ in range(PEOPLE)]

    async def take_over(self, source: Source, advance: Advance) -> None:
        """Imports what took place elsewhere. How it stands is known from the source, not from the answer."""
        with acting(self._ledger, "import a conversation") as act:
            act.sent = len(source.opinions) + len(source.votes)
            answer = await self._stub.ImportConversation(source.requests(), timeout=_IMPORT_SECONDS)
            act.duplicates, act.refused = answer.unchanged_count, answer.rejected_count
            act.accepted = act.sent - act.duplicates - act.refused
            advance(act.sent)
        conversation = Conversation(answer.conversation_id, source.title)
        self._ledger.conversation = conversation
        conversation.heard(answer.commit_token)
        for opinion in source.opinions:
            conversation.votes[opinion.external_id] = {}
            if opinion.moderation < 0:
                conversation.hidden.add(opinion.external_id)
        for vote in source.standing():
            conversation.votes[vote.opinion_external_id][vote.participant_external_id] = vote.vote
        for there in await all_opinions(self._stub, conversation.conversation_id):
            conversation.known_as(there.external_id, there.opinion_id)

    async def vote(self, advance: Advance) -> None:
        """Everybody at once, each on what comes next; some requests arrive twice."""
        plan = [vote for votes in await asyncio.gather(*map(self._choose, self._people)) for vote in votes]
        twice = [request for request in plan if self._random.random() < TWICE]
        with acting(self._ledger, f"{PEOPLE} people vote") as act:
            await each(act, [*plan, *twice], self._cast, advance, PEOPLE)

    async def write(self, advance: Advance) -> None:
        """Some write an opinion, with which they agree by that; then others vote on it."""
        before = set(self._there.votes)
        with acting(self._ledger, "write opinions") as act:
            await each(act, self._people[:WRITERS], self._write, advance, WRITERS)
        new = [name for name in self._there.votes if name not in before]
        readers = self._people[WRITERS:]
        plan = [self._request(name, user_id) for name in new for user_id in self._random.sample(readers, VOTES_EACH)]
        with acting(self._ledger, "vote on what is new") as act:
            await each(act, plan, self._cast, advance, PEOPLE)

    async def reconsider(self, advance: Advance) -> None:
        """Many change their votes, and some take them back."""
        people = {*self._people}
        live = [(name, user) for name, votes in self._there.votes.items() for user in votes if user in people]
        self._random.shuffle(live)
        changing, leaving = live[:CHANGES], live[CHANGES : CHANGES + CANCELLATIONS]
        with acting(self._ledger, "change their votes") as act:
            await each(act, map(self._changed, changing), self._cast, advance, PEOPLE)
        with acting(self._ledger, "take votes back") as act:
            await each(act, leaving, self._cancel, advance, PEOPLE)

    async def moderate(self, advance: Advance) -> None:
        """Hides those opinions that have most votes, so that totals with and without them differ."""
        there = self._there
        visible = [name for name in there.votes if name not in there.hidden]
        busiest = sorted(visible, key=lambda name: -len(there.votes[name]))[:HIDDEN]
        with acting(self._ledger, "hide opinions") as act:
            await each(act, busiest, self._hide, advance, HIDDEN)

    @property
    def _there(self) -> Conversation:
        assert self._ledger.conversation is not None
        return self._ledger.conversation

    async def _choose(self, user_id: str) -> list[messages.CastVoteRequest]:
        asked = messages.ListNextOpinionsRequest(
            conversation_id=self._there.conversation_id, user_id=user_id, page_size=VOTES_EACH
        )
        answer = await self._stub.ListNextOpinions(asked, timeout=DEADLINE)
        return [self._request(self._there.names[there.opinion_id], user_id) for there in answer.opinions]

    def _request(
        self, name: str, user_id: str, choices: Iterable["resources.Vote.ValueType"] = _CHOICES
    ) -> messages.CastVoteRequest:
        return messages.CastVoteRequest(
            conversation_id=self._there.conversation_id,
            opinion_id=self._there.ids[name],
            user_id=user_id,
            vote=self._random.choice([*choices]),
            request_id=str(uuid4()),
        )

    def _changed(self, standing: tuple[str, str]) -> messages.CastVoteRequest:
        name, user_id = standing
        now = self._there.votes[name][user_id]
        return self._request(name, user_id, [choice for choice in _CHOICES if choice != now])

    async def _cast(self, act: Act, request: messages.CastVoteRequest) -> None:
        answer = await self._stub.CastVote(request, timeout=DEADLINE)
        self._there.heard(answer.commit_token)
        if answer.replayed:
            act.replayed += 1
            return
        act.accepted += 1
        self._there.votes[self._there.names[request.opinion_id]][request.user_id] = request.vote

    async def _write(self, act: Act, user_id: str) -> None:
        request = messages.CreateOpinionRequest(
            conversation_id=self._there.conversation_id,
            author_id=user_id,
            body="Let those decide who live there.",
            request_id=str(uuid4()),
        )
        answer = await self._stub.CreateOpinion(request, timeout=DEADLINE)
        act.accepted += 1
        opinion_id = answer.opinion.opinion_id
        self._there.known_as(opinion_id, opinion_id)
        self._there.votes[opinion_id] = {user_id: resources.VOTE_AGREE}
        self._there.heard(answer.commit_token)

    async def _cancel(self, act: Act, standing: tuple[str, str]) -> None:
        name, user_id = standing
        request = messages.CancelVoteRequest(
            conversation_id=self._there.conversation_id,
            opinion_id=self._there.ids[name],
            user_id=user_id,
            request_id=str(uuid4()),
        )
        self._there.heard((await self._stub.CancelVote(request, timeout=DEADLINE)).commit_token)
        del self._there.votes[name][user_id]
        act.withdrawn += 1

    async def _hide(self, act: Act, name: str) -> None:
        request = messages.ModerateOpinionRequest(
            conversation_id=self._there.conversation_id,
            opinion_id=self._there.ids[name],
            action=messages.MODERATION_ACTION_HIDE,
            moderator_id=str(uuid4()),
            reason="said before",
            request_id=str(uuid4()),
        )
        self._there.heard((await self._stub.ModerateOpinion(request, timeout=DEADLINE)).commit_token)
        self._there.hidden.add(name)
        act.accepted += 1
