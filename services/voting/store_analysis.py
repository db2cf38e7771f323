"""Asking for an analysis, and reading the last one."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.data.catalog.voting import CONVERSATIONS
from libs.data.events import Event
from libs.data.requests import Replay, Requests
from libs.data.transaction import Snapshot, Transaction
from services.voting.errors import AnalysisNotFound, ConversationNotFound, ParticipantNotFound
from services.voting.model_analysis import Position, Requested

REQUESTS = Requests("voting", "RequestAnalysis", Requested)

VERSION = "SELECT version FROM voting.analyses WHERE conversation_id = $1"


async def request(tx: Transaction, conversation_id: UUID, request_id: UUID) -> Requested | Replay[Requested]:
    """Gives the conversation a new version, which the last analysis is not of.

    Raises:
        ConversationNotFound
    """
    replay = await REQUESTS.claim(tx, request_id, conversation_id)
    if replay is not None:
        return replay
    conversations = await tx.lock(CONVERSATIONS, [conversation_id])
    if conversation_id not in conversations:
        raise ConversationNotFound(conversation_id)
    requested = Requested(await tx.fetchval(VERSION, conversation_id) or 0)
    tx.touch(CONVERSATIONS, [conversation_id])
    payload = {"vote_count": conversations[conversation_id]["vote_count"]}
    version = conversations.next_version(conversation_id)
    tx.emit([Event("conversation.analysis_requested", conversation_id, version, payload)])
    await REQUESTS.record(tx, request_id, requested)
    return requested


class Stored(NamedTuple):
    """A stored analysis: a serialised `tally.voting.v1.Analysis`, and one of its participants alone, if asked for."""

    analysis: bytes
    participants: bytes | None


GET = """
SELECT a.analysis, CASE WHEN $2 THEN a.participants END AS participants
FROM voting.conversations c LEFT JOIN voting.analyses a USING (conversation_id)
WHERE c.conversation_id = $1
"""


async def get(snapshot: Snapshot, conversation_id: UUID, participants: bool) -> Stored:
    """The last analysis, in one piece.

    Raises:
        ConversationNotFound
        AnalysisNotFound: there was none yet.
    """
    row = await snapshot.fetchrow(GET, conversation_id, participants)
    if row is None:
        raise ConversationNotFound(conversation_id)
    if row["analysis"] is None:
        raise AnalysisNotFound(conversation_id)
    return Stored(*row)


# The ids of 33,000 people are gone through in half a millisecond, and rows of their own would all be written at each analysis.
FIND = """
SELECT a.version, a.computed_time, place, a.participant_xs[place], a.participant_ys[place], a.participant_groups[place]
FROM voting.conversations c LEFT JOIN voting.analyses a USING (conversation_id)
     LEFT JOIN LATERAL (SELECT array_position(a.participant_ids, $2) AS place) found ON true
WHERE c.conversation_id = $1
"""


async def find(snapshot: Snapshot, conversation_id: UUID, user_id: UUID) -> Position:
    """Where a person is, by the last analysis.

    Raises:
        ConversationNotFound
        AnalysisNotFound: there was none yet.
        ParticipantNotFound: the person had no vote by then.
    """
    row = await snapshot.fetchrow(FIND, conversation_id, user_id)
    if row is None:
        raise ConversationNotFound(conversation_id)
    version: int | None
    time: datetime
    version, time, place, x, y, group_id = row
    if version is None:
        raise AnalysisNotFound(conversation_id)
    if place is None:
        raise ParticipantNotFound(conversation_id, user_id)
    return Position(user_id, x, y, group_id, time, version)
