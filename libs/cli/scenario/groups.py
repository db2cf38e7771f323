"""The opinion groups of the conversation of the scenario, as AnalysisService tells them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from tally.voting.v1 import analysis_pb2 as resources
from tally.voting.v1 import analysis_service_pb2 as messages
from tally.voting.v1 import voting_pb2
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceStub

from libs.cli.scenario.acting import DEADLINE
from libs.cli.scenario.group_report import Divided, Side, ToldGroup, ToldGroups, group_name
from libs.cli.scenario.ledger import Conversation
from libs.devstack.errors import DevstackError

# A large conversation is analysed twenty seconds after its last analysis, and a cold worker takes its time.
_PATIENCE, _PAUSE = 120.0, 0.25
_MOST = 3


class Analysing:
    """Asks for an analysis of a conversation, and waits for it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = AnalysisServiceStub(channel)

    async def request(self, conversation: Conversation) -> int:
        """The version of the last analysis there was: one with a greater one is of everything up to now."""
        asked = messages.RequestAnalysisRequest(conversation_id=conversation.conversation_id, request_id=str(uuid4()))
        version: int = (await self._stub.RequestAnalysis(asked, timeout=DEADLINE)).version
        return version

    async def wait(self, conversation: Conversation, version: int) -> resources.Analysis:
        """An analysis with a greater version, with everybody in it.

        Raises:
            DevstackError: there was none in time.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if await self._version(conversation) > version:
                asked = messages.GetAnalysisRequest(
                    conversation_id=conversation.conversation_id, include_participants=True
                )
                analysis: resources.Analysis = (await self._stub.GetAnalysis(asked, timeout=DEADLINE)).analysis
                return analysis
            await asyncio.sleep(_PAUSE)
        raise DevstackError(f"the conversation was not analysed within {_PATIENCE:.0f} s: see `tally logs operations`")

    async def _version(self, conversation: Conversation) -> int:
        """Of the last analysis; 0 before the first."""
        asked = messages.GetAnalysisRequest(conversation_id=conversation.conversation_id)
        try:
            version: int = (await self._stub.GetAnalysis(asked, timeout=DEADLINE)).analysis.version
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return 0
        return version


def told(analysis: resources.Analysis, conversation: Conversation, bodies: Mapping[str, str]) -> ToldGroups:
    """An analysis in the words of its conversation.

    Args:
        bodies: of the opinions, by the name they have in the conversation.
    """
    names = {group.group_id: group_name(group.group_id) for group in analysis.groups}
    opinions = {each.opinion_id: each for each in analysis.opinions}

    def divided(opinion_id: str, side: Side) -> Divided:
        shares = {names[votes.group_id]: _share(votes, side) for votes in opinions[opinion_id].group_votes}
        return Divided(opinion=bodies[conversation.names[opinion_id]], side=side, shares=shares)

    visible = [each for each in analysis.opinions if conversation.names[each.opinion_id] not in conversation.hidden]
    return ToldGroups(
        people=analysis.participant_count,
        votes=analysis.vote_count,
        in_groups=sum(group.size for group in analysis.groups),
        groups=[
            ToldGroup(
                name=names[group.group_id],
                size=group.size,
                says=[
                    divided(said.opinion_id, "agree" if said.vote == voting_pb2.VOTE_AGREE else "disagree")
                    for said in group.representative_opinions[:_MOST]
                ],
            )
            for group in analysis.groups
        ],
        unites=[divided(opinion_id, side) for opinion_id, side in _uniting(visible)[:_MOST]],
        divides=[divided(opinion_id, "agree") for opinion_id in _dividing(visible)[:_MOST]],
        disagreements=_disagreements(analysis, conversation),
    )


def _uniting(opinions: Sequence[resources.AnalysedOpinion]) -> list[tuple[str, Side]]:
    """What more than half of every group think, by group-aware consensus."""
    sides: tuple[Side, ...] = ("agree", "disagree")
    found = [
        (getattr(each, f"group_aware_consensus_{side}"), each.opinion_id, side)
        for each in opinions
        for side in sides
        if each.group_votes and min(_likely(votes, side) for votes in each.group_votes) > 0.5
    ]
    return [(opinion_id, side) for _, opinion_id, side in sorted(found, key=lambda told: -told[0])]


def _dividing(opinions: Sequence[resources.AnalysedOpinion]) -> list[str]:
    """By how far apart the groups are that agree most and least."""
    apart = {
        each.opinion_id: max(likely) - min(likely)
        for each in opinions
        if len(likely := [_likely(votes, "agree") for votes in each.group_votes]) > 1
    }
    return sorted(apart, key=lambda opinion_id: -apart[opinion_id])


def _votes(votes: voting_pb2.GroupVotes, side: Side) -> tuple[int, int]:
    """Those on a side, and all."""
    seen = votes.agrees + votes.disagrees + votes.passes
    return (votes.agrees if side == "agree" else votes.disagrees), seen


def _share(votes: voting_pb2.GroupVotes, side: Side) -> float:
    those, seen = _votes(votes, side)
    return those / seen if seen else 0.0


def _likely(votes: voting_pb2.GroupVotes, side: Side) -> float:
    """The share as estimated: close to a half where few have voted."""
    those, seen = _votes(votes, side)
    return (those + 1) / (seen + 2)


def _disagreements(analysis: resources.Analysis, conversation: Conversation) -> list[str]:
    people = {user for users in conversation.votes.values() for user in users}
    expected = (sum(map(len, conversation.votes.values())), len(people))
    found = (analysis.vote_count, analysis.participant_count)
    if found == expected:
        return []
    return ["the analysis is of {} votes of {} people instead of {} of {}".format(*found, *expected)]
