"""Compares what voters were answered with what the service, the aggregator and the rows say."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import grpc.aio
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli.scenario.acting import DEADLINE
from libs.cli.scenario.comparison import CountComparison
from libs.cli.scenario.forum_pages import all_opinions
from libs.cli.scenario.ledger import Conversation, Standing

# What is counted of a conversation, and of its opinions, by the aggregator's names.
_OF_CONVERSATION = ("opinions", "votes", "participants", "visible_opinions", "visible_votes", "visible_participants")
_OF_OPINIONS = {
    "opinion_agrees": resources.VOTE_AGREE,
    "opinion_disagrees": resources.VOTE_DISAGREE,
    "opinion_passes": resources.VOTE_PASS,
}
_KEYS_AT_ONCE = 1_000
_EXPORT_SECONDS = 120.0

Counts = dict[str, int]


class ForumChecks:
    """Asks the voting service and the aggregator."""

    def __init__(self, voting: grpc.aio.Channel, aggregator: grpc.aio.Channel) -> None:
        self._voting: Any = VotingServiceStub(voting)
        self._aggregator: Any = AggregatorServiceStub(aggregator)

    async def compare(self, conversation: Conversation) -> list[CountComparison]:
        """Every count of the conversation; those of its opinions are added up, and compared one by one before."""
        answered = _counted(conversation.votes, conversation.hidden)
        rows, hidden = await self._rows(conversation.conversation_id)
        each_counter, each_served = await self._of_opinions(conversation)
        counter = await self._counter(conversation.conversation_id) | _added_up(each_counter)
        served = await self._served(conversation) | _added_up(each_served)
        counted = _counted(rows, hidden)
        compared = {
            what: CountComparison(
                what=what.replace("_", " "),
                answered=answered[what],
                aggregator=served[what],
                counter=counter[what],
                rows=counted[what],
            ).judged()
            for what in (*_OF_CONVERSATION, *_OF_OPINIONS)
        }
        if rows != conversation.votes:
            compared["votes"].disagreements.append("not the same people voted, or not the same")
        expected = {name: Counter(votes.values()) for name, votes in conversation.votes.items()}
        for what, choice in _OF_OPINIONS.items():
            for who, said in (("counter", each_counter), ("aggregator", each_served)):
                wrong = sum(said[name][what] != votes[choice] for name, votes in expected.items())
                if wrong:
                    compared[what].disagreements.append(f"the {who} differs for {wrong} opinions")
        return list(compared.values())

    async def _rows(self, conversation_id: str) -> tuple[Standing, set[str]]:
        """All that is stored, as it is at one moment, and which opinions are not visible."""
        request = messages.ExportConversationRequest(conversation_id=conversation_id)
        stored: Standing = {}
        hidden: set[str] = set()
        async for piece in self._voting.ExportConversation(request, timeout=_EXPORT_SECONDS):
            if piece.HasField("opinion"):
                stored[piece.opinion.external_id] = {}
                if piece.opinion.moderation < 0:
                    hidden.add(piece.opinion.external_id)
            for vote in piece.votes.votes:
                stored[vote.opinion_external_id][vote.participant_external_id] = vote.vote
        return stored, hidden

    async def _counter(self, conversation_id: str) -> Counts:
        request = messages.GetConversationRequest(conversation_id=conversation_id)
        conversation = (await self._voting.GetConversation(request, timeout=DEADLINE)).conversation
        numbers = [
            number
            for counts in (conversation.counts, conversation.visible_counts)
            for number in (counts.opinion_count, counts.vote_count, counts.participant_count)
        ]
        return dict(zip(_OF_CONVERSATION, numbers, strict=True))

    async def _served(self, conversation: Conversation) -> Counts:
        keys = [(name, conversation.conversation_id) for name in _OF_CONVERSATION]
        return dict(zip(_OF_CONVERSATION, await self._ask(conversation, keys), strict=True))

    async def _of_opinions(self, conversation: Conversation) -> tuple[dict[str, Counts], dict[str, Counts]]:
        """By opinion, what its row says, and what the aggregator says."""
        there = await all_opinions(self._voting, conversation.conversation_id)
        names = [conversation.names[opinion.opinion_id] for opinion in there]
        rows = [(opinion.counts.agrees, opinion.counts.disagrees, opinion.counts.passes) for opinion in there]
        keys = [
            (what, f"{conversation.conversation_id}/{opinion.opinion_id}") for opinion in there for what in _OF_OPINIONS
        ]
        served = iter(await self._ask(conversation, keys))
        told = [[next(served) for _ in _OF_OPINIONS] for _ in there]
        by_row, by_aggregator = (
            {name: dict(zip(_OF_OPINIONS, numbers, strict=True)) for name, numbers in zip(names, said, strict=True)}
            for said in (rows, told)
        )
        return by_row, by_aggregator

    async def _ask(self, conversation: Conversation, keys: Sequence[tuple[str, str]]) -> list[int]:
        values: list[int] = []
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            request = aggregator_service_pb2.BatchGetCountersRequest(
                keys=[
                    aggregator_pb2.CounterKey(counter=f"voting.{name}", resource_id=resource_id)
                    for name, resource_id in keys[start : start + _KEYS_AT_ONCE]
                ]
            )
            request.consistency.at_least = f"{conversation.token:x}"
            answer = await self._aggregator.BatchGetCounters(request, timeout=DEADLINE)
            values += [result.count.value for result in answer.results]
        return values


def _counted(votes: Mapping[str, Mapping[str, int]], hidden: Collection[str]) -> Counts:
    """Every count, by plain counting."""
    visible = {name: users for name, users in votes.items() if name not in hidden}
    numbers = [
        number
        for these in (votes, visible)
        for number in (
            len(these),
            sum(map(len, these.values())),
            len({user for users in these.values() for user in users}),
        )
    ]
    choices = Counter(choice for users in votes.values() for choice in users.values())
    of_opinions = {what: choices[choice] for what, choice in _OF_OPINIONS.items()}
    return dict(zip(_OF_CONVERSATION, numbers, strict=True)) | of_opinions


def _added_up(each: Mapping[str, Counts]) -> Counts:
    return {what: sum(counts[what] for counts in each.values()) for what in _OF_OPINIONS}
