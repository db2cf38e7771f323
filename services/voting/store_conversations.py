"""Opening conversations, and locking them."""

from datetime import datetime
from uuid import UUID

from libs.data.catalog.voting import (
    CONVERSATIONS,
    OPINIONS,
    PARTICIPANTS,
    VISIBLE_OPINIONS,
    VISIBLE_PARTICIPANTS,
    VISIBLE_VOTES,
    VOTES,
)
from libs.data.events import Event
from libs.data.ids import new_id
from libs.data.requests import Replay, Requests
from libs.data.tables import Locked, Table
from libs.data.transaction import Transaction
from services.voting.errors import ConversationLocked, ConversationNotFound, ConversationNotLocked
from services.voting.model import Conversation, ConversationState, Moderation, NewConversation
from services.voting.store_reads import COLUMNS, to_conversation

CREATIONS = Requests("voting", "CreateConversation", Conversation)
LOCKINGS = Requests("voting", "LockConversation", Conversation)
UNLOCKINGS = Requests("voting", "UnlockConversation", Conversation)

CREATE = f"""
INSERT INTO voting.conversations (conversation_id, title, description, creator_id)
VALUES ($1, $2, $3, $4)
RETURNING {COLUMNS}
"""


async def create(tx: Transaction, new: NewConversation, request_id: UUID) -> Conversation | Replay[Conversation]:
    replay = await CREATIONS.claim(tx, request_id, new)
    if replay is not None:
        return replay
    row = await tx.fetchrow(CREATE, new_id(), new.title, new.description, new.creator_id)
    assert row is not None
    conversation = to_conversation(row)
    tx.emit([created(conversation.conversation_id)])
    await CREATIONS.record(tx, request_id, conversation)
    return conversation


def created(conversation_id: UUID) -> Event:
    """That there is a new conversation, with nothing in it."""
    counters = {
        counter.name: {str(conversation_id): 0}
        for counter in (OPINIONS, VOTES, PARTICIPANTS, VISIBLE_OPINIONS, VISIBLE_VOTES, VISIBLE_PARTICIPANTS)
    }
    return Event("conversation.created", conversation_id, 0, {"counters": counters})


async def lock(tx: Transaction, moderation: Moderation, request_id: UUID) -> Conversation | Replay[Conversation]:
    """Every vote's transaction holds the conversation's row and looks at its state: none commits after this one."""
    replay = await LOCKINGS.claim(tx, request_id, moderation)
    if replay is not None:
        return replay
    conversations = await _lock_row(tx, moderation.conversation_id)
    row = conversations[moderation.conversation_id]
    if row["state"] == ConversationState.LOCKED:
        raise ConversationLocked(moderation.conversation_id)
    conversation = await _set_locked_time(tx, conversations, moderation, row["locked_time"])
    await LOCKINGS.record(tx, request_id, conversation)
    return conversation


async def unlock(tx: Transaction, moderation: Moderation, request_id: UUID) -> Conversation | Replay[Conversation]:
    replay = await UNLOCKINGS.claim(tx, request_id, moderation)
    if replay is not None:
        return replay
    conversations = await _lock_row(tx, moderation.conversation_id)
    if conversations[moderation.conversation_id]["state"] != ConversationState.LOCKED:
        raise ConversationNotLocked(moderation.conversation_id)
    conversation = await _set_locked_time(tx, conversations, moderation, None)
    await UNLOCKINGS.record(tx, request_id, conversation)
    return conversation


async def _lock_row(tx: Transaction, conversation_id: UUID) -> Locked[Table]:
    conversations = await tx.lock(CONVERSATIONS, [conversation_id])
    if conversation_id not in conversations:
        raise ConversationNotFound(conversation_id)
    return conversations


SET_LOCKED_TIME = f"""
UPDATE voting.conversations SET locked_time = $2, version = version + 1
WHERE conversation_id = $1
RETURNING {COLUMNS}
"""


async def _set_locked_time(
    tx: Transaction, conversations: Locked[Table], moderation: Moderation, time: datetime | None
) -> Conversation:
    conversation_id = moderation.conversation_id
    row = await tx.fetchrow(SET_LOCKED_TIME, conversation_id, time)
    assert row is not None
    conversation = to_conversation(row)
    record_moderation(tx, conversations, moderation)
    payload = {"moderator_id": str(moderation.moderator_id), "reason": moderation.reason}
    kind = f"conversation.{'unlocked' if time is None else 'locked'}"
    tx.emit([Event(kind, conversation_id, conversations.next_version(conversation_id), payload)])
    return conversation


RECORD = """
INSERT INTO voting.moderation
    (conversation_id, moderation_id, opinion_id, moderation_action, moderator_id, reason, created_time)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def record_moderation(tx: Transaction, conversations: Locked[Table], moderation: Moderation) -> None:
    """The audit row, with the time its conversation was locked at: times run in the order of the commits."""
    tx.write_last(
        RECORD,
        moderation.conversation_id,
        new_id(),
        moderation.opinion_id,
        moderation.action.value,
        moderation.moderator_id,
        moderation.reason,
        conversations[moderation.conversation_id]["locked_time"],
        rows=1,
    )
