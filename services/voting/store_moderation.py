"""Moderating opinions, and deleting them with their votes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from libs.data.catalog.voting import (
    CONVERSATIONS,
    OPINIONS,
    PARTICIPANT_VISIBLE_VOTES,
    PARTICIPANT_VOTES,
    PARTICIPANTS,
    VISIBLE_OPINIONS,
    VISIBLE_PARTICIPANTS,
    VISIBLE_VOTES,
    VOTES,
)
from libs.data.counters import Counter
from libs.data.events import Event
from libs.data.requests import Replay, Requests
from libs.data.tables import Locked, Table
from libs.data.transaction import Record, Transaction
from services.voting.errors import OpinionNotFound
from services.voting.model import (
    Choice,
    ConversationCounts,
    Deleted,
    Moderated,
    Moderation,
    ModerationAction,
    Opinion,
    OpinionState,
)
from services.voting.store import OF_CHOICE
from services.voting.store_conversations import record_moderation
from services.voting.store_reads import get_opinion

MODERATIONS = Requests("voting", "ModerateOpinion", Moderated)
DELETIONS = Requests("voting", "DeleteOpinion", Deleted)

RESULT = {
    ModerationAction.ACCEPT: OpinionState.ACCEPTED,
    ModerationAction.MOVE: OpinionState.MOVED,
    ModerationAction.HIDE: OpinionState.HIDDEN,
    ModerationAction.RESTORE: OpinionState.UNMODERATED,
}
META = {ModerationAction.MARK_META: True, ModerationAction.UNMARK_META: False}


class _Totals(NamedTuple):
    """The counters an opinion and its votes are among."""

    opinions: Counter
    votes: Counter
    participants: Counter
    votes_of_participant: Counter


ALL = _Totals(OPINIONS, VOTES, PARTICIPANTS, PARTICIPANT_VOTES)
VISIBLE = _Totals(VISIBLE_OPINIONS, VISIBLE_VOTES, VISIBLE_PARTICIPANTS, PARTICIPANT_VISIBLE_VOTES)

SET_STATE = "UPDATE voting.opinions SET state = $3, meta = $4 WHERE conversation_id = $1 AND opinion_id = $2"
VOTERS = """
SELECT v.user_id, p.visible_vote_count
FROM voting.votes v JOIN voting.participants p USING (conversation_id, user_id)
WHERE v.conversation_id = $1 AND v.opinion_id = $2
"""


async def moderate(tx: Transaction, moderation: Moderation, request_id: UUID) -> Moderated | Replay[Moderated]:
    """Also in a locked conversation. What is so already changes nothing and is recorded.

    Raises:
        OpinionNotFound: there is none, or it was deleted.
    """
    replay = await MODERATIONS.claim(tx, request_id, moderation)
    if replay is not None:
        return await _with_body(tx, replay)
    conversations, opinion = await _lock_opinion(tx, moderation)
    key = (opinion.conversation_id, opinion.opinion_id)
    state = RESULT.get(moderation.action, opinion.state)
    meta = META.get(moderation.action, opinion.meta)
    by = state.visible - opinion.state.visible
    voters = await tx.fetch(VOTERS, *key) if by else []
    answer = Moderated(replace(opinion, state=state, meta=meta), _count(tx, conversations, VISIBLE, key[0], voters, by))
    if (state, meta) != (opinion.state, opinion.meta):
        await tx.execute(SET_STATE, *key, state.value, meta)
        tx.touch(CONVERSATIONS, [key[0]])
        payload = _payload(moderation, opinion) | {
            "action": moderation.action.value,
            "previous_state": opinion.state.value,
            "previous_state_imported": await _is_imported(tx, opinion),
            "state": state.value,
            "previous_meta": opinion.meta,
            "meta": meta,
            "vote_count": conversations[key[0]]["vote_count"],
        }
        tx.emit([Event("opinion.moderated", key[1], conversations.next_version(key[0]), payload)])
    record_moderation(tx, conversations, moderation)
    # Without the text, which deleting the opinion shall leave nowhere.
    await MODERATIONS.record(tx, request_id, replace(answer, opinion=replace(answer.opinion, body="")))
    return answer


# Only opinions that were imported ask for it, so the conversation's rows are few enough to go through.
WAS_MODERATED = """
SELECT EXISTS (SELECT FROM voting.moderation
               WHERE conversation_id = $1 AND opinion_id = $2 AND moderation_action = ANY($3::text[]))
"""


async def _is_imported(tx: Transaction, opinion: Opinion) -> bool:
    """Whether an opinion came with the state it has: no event has told of it."""
    if opinion.state is OpinionState.UNMODERATED or not opinion.external_id:
        return False
    actions = [action.value for action in RESULT]
    return not await tx.fetchval(WAS_MODERATED, opinion.conversation_id, opinion.opinion_id, actions)


async def _with_body(tx: Transaction, replay: Replay[Moderated]) -> Replay[Moderated]:
    opinion = replay.answer.opinion
    try:
        stored = await get_opinion(tx, opinion.conversation_id, opinion.opinion_id)
    except OpinionNotFound:  # deleted since
        return replay
    return replace(replay, answer=replace(replay.answer, opinion=replace(opinion, body=stored.body)))


# One statement empties the opinion and removes what hangs on it; of each of its voters, the votes there were before.
DELETE = """
WITH emptied AS (
    UPDATE voting.opinions SET state = 'deleted', body = '' WHERE conversation_id = $1 AND opinion_id = $2
), gone AS (
    DELETE FROM voting.votes WHERE conversation_id = $1 AND opinion_id = $2 RETURNING user_id
), past AS (
    DELETE FROM voting.past_votes WHERE conversation_id = $1 AND opinion_id = $2
), no_longer_due AS (
    DELETE FROM voting.author_votes_due WHERE conversation_id = $1 AND opinion_id = $2
), of_analysis AS (
    DELETE FROM voting.opinion_statistics WHERE conversation_id = $1 AND opinion_id = $2
), of_groups AS (
    DELETE FROM voting.group_opinions WHERE conversation_id = $1 AND opinion_id = $2
)
SELECT gone.user_id, p.vote_count, p.visible_vote_count
FROM gone JOIN voting.participants p ON p.conversation_id = $1 AND p.user_id = gone.user_id
"""


async def delete(tx: Transaction, moderation: Moderation, request_id: UUID) -> Deleted | Replay[Deleted]:
    """Also in a locked conversation.

    Raises:
        OpinionNotFound: there is none, or it was deleted before.
    """
    replay = await DELETIONS.claim(tx, request_id, moderation)
    if replay is not None:
        return replay
    conversations, opinion = await _lock_opinion(tx, moderation)
    key = (opinion.conversation_id, opinion.opinion_id)
    voters = await tx.fetch(DELETE, *key)
    answer = Deleted(len(voters), _count(tx, conversations, ALL, key[0], voters, -1))
    if opinion.state.visible:
        _count(tx, conversations, VISIBLE, key[0], voters, -1)
    counts = opinion.counts
    for choice, n in (
        (Choice.AGREE, counts.agrees),
        (Choice.DISAGREE, counts.disagrees),
        (Choice.PASS, counts.passes),
    ):
        tx.increment(OF_CHOICE[choice], {key: -n}, before={key: n})
    record_moderation(tx, conversations, moderation)
    payload = _payload(moderation, opinion) | {"deleted_vote_count": len(voters)}
    tx.emit([Event("opinion.deleted", key[1], conversations.next_version(key[0]), payload)])
    await DELETIONS.record(tx, request_id, answer)
    return answer


async def _lock_opinion(tx: Transaction, moderation: Moderation) -> tuple[Locked[Table], Opinion]:
    """The conversation, locked, and the opinion as it is under the lock."""
    conversation_id, opinion_id = moderation.conversation_id, moderation.opinion_id
    assert opinion_id is not None
    conversations = await tx.lock(CONVERSATIONS, [conversation_id])
    if conversation_id not in conversations:
        raise OpinionNotFound(conversation_id, opinion_id)
    return conversations, await get_opinion(tx, conversation_id, opinion_id)


def _count(
    tx: Transaction,
    conversations: Locked[Table],
    totals: _Totals,
    conversation_id: UUID,
    voters: Sequence[Record],
    by: int,
) -> ConversationCounts:
    """Takes an opinion and its votes among the totals (1), out of them (-1), or leaves them alone (0).

    Args:
        voters: who voted on it, each with the person's counters under the lock.

    Returns:
        The conversation's counts just after.
    """
    column = totals.votes_of_participant.column
    before = {(conversation_id, voter["user_id"]): voter[column] for voter in voters}
    appearing = sum(votes == 0 for votes in before.values())
    disappearing = sum(votes == 1 for votes in before.values())
    tx.increment(totals.votes_of_participant, dict.fromkeys(before, by), before=before)
    additions = (
        (totals.opinions, by),
        (totals.votes, by * len(voters)),
        (totals.participants, appearing if by > 0 else -disappearing),
    )
    for counter, n in additions:
        tx.increment(counter, {(conversation_id,): n})
    row = conversations[conversation_id]
    return ConversationCounts(*(row[counter.column] + n for counter, n in additions))


def _payload(moderation: Moderation, opinion: Opinion) -> dict[str, Any]:
    return {
        "conversation_id": str(opinion.conversation_id),
        "author_id": str(opinion.author_id),
        "moderator_id": str(moderation.moderator_id),
        "reason": moderation.reason,
    }
