"""Reading conversations, single opinions and votes. Nothing here waits for a writer or counts rows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from libs.data.commit_tokens import encode_token
from libs.data.pages import decode_page_token, encode_page_token, utc_time
from libs.data.transaction import Record, Snapshot
from services.voting.errors import ConversationNotFound, OpinionNotFound
from services.voting.model import (
    Answer,
    Choice,
    Conversation,
    ConversationCounts,
    ConversationState,
    GroupVotes,
    Opinion,
    OpinionCounts,
    OpinionState,
    Vote,
)

COLUMNS = """
conversation_id, title, description, creator_id, external_id, state, opinion_count, vote_count, participant_count,
visible_opinion_count, visible_vote_count, visible_participant_count, created_time, locked_time
"""


def to_conversation(row: Record) -> Conversation:
    """From a row that begins with COLUMNS."""
    conversation_id, title, description, creator_id, external_id, state = row[:6]
    counts, visible_counts = ConversationCounts(*row[6:9]), ConversationCounts(*row[9:12])
    created_time, locked_time = row[12:14]
    return Conversation(
        conversation_id,
        title,
        description,
        creator_id,
        external_id,
        ConversationState(state),
        counts,
        visible_counts,
        created_time,
        locked_time,
    )


GET = f"SELECT {COLUMNS} FROM voting.conversations WHERE conversation_id = $1"


async def get(snapshot: Snapshot, conversation_id: UUID) -> Conversation:
    row = await snapshot.fetchrow(GET, conversation_id)
    if row is None:
        raise ConversationNotFound(conversation_id)
    return to_conversation(row)


EXISTS = "SELECT EXISTS (SELECT FROM voting.conversations WHERE conversation_id = $1)"


async def must_exist(snapshot: Snapshot, conversation_id: UUID) -> None:
    """Raises ConversationNotFound unless there is this conversation: asked where nothing was found in it."""
    if not await snapshot.fetchval(EXISTS, conversation_id):
        raise ConversationNotFound(conversation_id)


NEWEST = f"""
SELECT {COLUMNS} FROM voting.conversations
WHERE (created_time, conversation_id) < ($1, $2)
ORDER BY created_time DESC, conversation_id DESC
LIMIT $3
"""
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
AFTER_ALL = UUID(int=2**128 - 1)
BEFORE_ALL = UUID(int=0)


async def list_newest(snapshot: Snapshot, size: int, token: str) -> tuple[list[Conversation], str]:
    """One page, last created first, and the next page's token."""
    before = decode_page_token(token, "conversations", utc_time, UUID) or (END_OF_TIME, AFTER_ALL)
    rows = await snapshot.fetch(NEWEST, *before, size + 1)
    conversations = [to_conversation(row) for row in rows[:size]]
    if len(rows) <= size:
        return conversations, ""
    last = conversations[-1]
    return conversations, encode_page_token("conversations", last.created_time, last.conversation_id)


OPINION_COLUMNS = """
conversation_id, opinion_id, author_id, body, state, agree_count, disagree_count, pass_count, external_id, created_time,
meta
"""
# What a listing reads an opinion and its `group_votes` from, which makes it one statement.
OPINIONS_WITH_GROUP_VOTES = """
voting.opinions LEFT JOIN voting.opinion_statistics USING (conversation_id, opinion_id)
"""


def to_opinion(row: Record, group_votes: Sequence[int] | None = None) -> Opinion:
    """From a row that begins with OPINION_COLUMNS.

    Args:
        group_votes: group, agrees, disagrees and passes of each group in turn; None before the first analysis.
    """
    conversation_id, opinion_id, author_id, body, state, agrees, disagrees, passes, external_id, created_time = row[:10]
    meta: bool = row[10]
    numbers = iter(group_votes or ())
    return Opinion(
        conversation_id,
        opinion_id,
        author_id,
        body,
        OpinionState(state),
        OpinionCounts(agrees, disagrees, passes),
        external_id,
        created_time,
        tuple(map(GroupVotes, numbers, numbers, numbers, numbers)),
        meta,
    )


GET_OPINION = f"""
SELECT {OPINION_COLUMNS}, group_votes FROM {OPINIONS_WITH_GROUP_VOTES}
WHERE conversation_id = $1 AND opinion_id = $2 AND state <> 'deleted'
"""


async def get_opinion(snapshot: Snapshot, conversation_id: UUID, opinion_id: UUID) -> Opinion:
    """Moderated or not; a deleted one is not found."""
    row = await snapshot.fetchrow(GET_OPINION, conversation_id, opinion_id)
    if row is None:
        raise OpinionNotFound(conversation_id, opinion_id)
    return to_opinion(row, row["group_votes"])


VOTE_COLUMNS = """
conversation_id, opinion_id, user_id, vote, vote_time, request_id,
agrees_then, disagrees_then, passes_then, opinions_then, votes_then, participants_then, commit_xid::text::bigint AS xid
"""


def to_vote(row: Record) -> Vote:
    """From a row that begins with VOTE_COLUMNS."""
    conversation_id, opinion_id, user_id, vote, vote_time, request_id = row[:6]
    answer = None
    if request_id is not None:
        answer = Answer(OpinionCounts(*row[6:9]), ConversationCounts(*row[9:12]), encode_token(row[12]))
    return Vote(conversation_id, opinion_id, user_id, Choice(vote), vote_time, request_id, answer)


VOTES_ON = f"""
SELECT {VOTE_COLUMNS} FROM voting.votes
WHERE conversation_id = $1 AND opinion_id = $2 AND user_id > $3
ORDER BY user_id
LIMIT $4
"""


async def list_votes_on(
    snapshot: Snapshot, conversation_id: UUID, opinion_id: UUID, size: int, token: str
) -> tuple[list[Vote], str]:
    """One page of the votes on an opinion, by voter, and the next page's token; empty where there is no such opinion."""
    listing = f"votes_on/{conversation_id}/{opinion_id}"
    (after,) = decode_page_token(token, listing, UUID) or (BEFORE_ALL,)
    rows = await snapshot.fetch(VOTES_ON, conversation_id, opinion_id, after, size + 1)
    if not rows:
        await must_exist(snapshot, conversation_id)
    votes = [to_vote(row) for row in rows[:size]]
    return votes, encode_page_token(listing, votes[-1].user_id) if len(rows) > size else ""


VOTES_OF = f"""
SELECT {VOTE_COLUMNS} FROM voting.votes
WHERE conversation_id = $1 AND user_id = $2 AND opinion_id > $3
ORDER BY opinion_id
LIMIT $4
"""


async def list_votes_of(
    snapshot: Snapshot, conversation_id: UUID, user_id: UUID, size: int, token: str
) -> tuple[list[Vote], str]:
    """One page of a person's votes, by opinion, and the next page's token."""
    listing = f"votes_of/{conversation_id}/{user_id}"
    (after,) = decode_page_token(token, listing, UUID) or (BEFORE_ALL,)
    rows = await snapshot.fetch(VOTES_OF, conversation_id, user_id, after, size + 1)
    if not rows:
        await must_exist(snapshot, conversation_id)
    votes = [to_vote(row) for row in rows[:size]]
    return votes, encode_page_token(listing, votes[-1].opinion_id) if len(rows) > size else ""
