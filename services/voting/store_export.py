"""Reading a conversation whole: its opinions, deleted ones left out, and its votes, under the ids they came with, if any."""

from collections.abc import AsyncIterator
from uuid import UUID

from libs.data.transaction import Record, Snapshot
from services.voting.errors import ConversationNotFound
from services.voting.model_transfer import Header

HEADER = """
SELECT coalesce(external_id, conversation_id::text), title, description FROM voting.conversations WHERE conversation_id = $1
"""


async def read_header(snapshot: Snapshot, conversation_id: UUID) -> Header:
    row = await snapshot.fetchrow(HEADER, conversation_id)
    if row is None:
        raise ConversationNotFound(conversation_id)
    return Header(*row)


OPINIONS = """
SELECT coalesce(o.external_id, o.opinion_id::text),
       coalesce((SELECT a.external_id FROM voting.participants a
                 WHERE a.conversation_id = o.conversation_id AND a.user_id = o.author_id), o.author_id::text),
       o.body, o.state, o.created_time
FROM voting.opinions o
WHERE o.conversation_id = $1 AND o.state <> 'deleted'
ORDER BY o.created_time, o.opinion_id
"""


def opinions(snapshot: Snapshot, conversation_id: UUID, size: int) -> AsyncIterator[list[Record]]:
    """Pages of external id, author's external id, text, state and time; the oldest first."""
    return snapshot.pages(OPINIONS, conversation_id, size=size)


# By subqueries: what a plan joins it may also join the other way round, with all that is in the conversation.
VOTES = """
SELECT coalesce((SELECT o.external_id FROM voting.opinions o
                 WHERE o.conversation_id = v.conversation_id AND o.opinion_id = v.opinion_id), v.opinion_id::text),
       coalesce((SELECT p.external_id FROM voting.participants p
                 WHERE p.conversation_id = v.conversation_id AND p.user_id = v.user_id), v.user_id::text),
       v.vote, v.vote_time
FROM voting.votes v
WHERE v.conversation_id = $1
ORDER BY v.user_id, v.opinion_id
"""


def votes(snapshot: Snapshot, conversation_id: UUID, size: int) -> AsyncIterator[list[Record]]:
    """Pages of the opinion's and the person's external ids, choice and time; a person's together."""
    return snapshot.pages(VOTES, conversation_id, size=size)
