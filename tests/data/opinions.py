"""Conversations put there by SQL, and votes in them that move every counter as a service would."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from libs.data.catalog.voting import (
    CONVERSATIONS,
    OPINION_AGREES,
    PARTICIPANT_VISIBLE_VOTES,
    PARTICIPANT_VOTES,
    PARTICIPANTS,
    VISIBLE_PARTICIPANTS,
    VISIBLE_VOTES,
    VOTES,
    VOTING_COUNTERS,
)
from libs.data.database import Database
from libs.data.transaction import Transaction
from libs.data.verification import Drift, survey
from tests.stored import Connection

CREATE = """
WITH created AS (
    INSERT INTO voting.conversations (conversation_id, title, description, opinion_count, visible_opinion_count)
    VALUES ($1, 'Title', '', $2, $2)
)
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
SELECT $1, gen_random_uuid(), gen_random_uuid(), 'Because.', 'accepted', now() FROM generate_series(1, $2)
RETURNING opinion_id
"""
READ_OPINIONS = """
SELECT opinion_id, agree_count FROM voting.opinions WHERE conversation_id = $1 AND opinion_id = ANY($2::uuid[])
"""
READ_PARTICIPANT = """
SELECT vote_count, visible_vote_count FROM voting.participants WHERE conversation_id = $1 AND user_id = $2
"""
VOTE = """
INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT $1, $2, unnest($3::uuid[]), 1, now()
"""


ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
USERS = [UUID(int=n) for n in range(101, 104)]
# A counter's name, a resource id, what the counter says and what the rows say.
Row = tuple[str, str, int, int]

# Sets the vote counters of conversations five too high, past the data layer.
VOTE_COUNT = "UPDATE voting.conversations SET vote_count = vote_count + 5 WHERE conversation_id = ANY($1::uuid[])"


async def a_conversation(db: Connection, conversation_id: UUID, opinions: int = 2) -> list[UUID]:
    """Its opinions' ids, in ascending order."""
    return sorted(UUID(str(row[0])) for row in await db.fetch(CREATE, conversation_id, opinions))


async def agree(tx: Transaction, conversation_id: UUID, user_id: UUID, opinion_ids: Sequence[UUID]) -> None:
    """Somebody agrees with visible opinions that they have not voted on."""
    await tx.lock(CONVERSATIONS, [conversation_id])
    stood = {row[0]: row[1] for row in await tx.fetch(READ_OPINIONS, conversation_id, opinion_ids)}
    participant = await tx.fetchrow(READ_PARTICIPANT, conversation_id, user_id)
    await tx.execute(VOTE, conversation_id, user_id, opinion_ids)
    of_opinions = [(conversation_id, opinion_id) for opinion_id in opinion_ids]
    tx.increment(OPINION_AGREES, dict.fromkeys(of_opinions, 1), before={key: stood[key[1]] for key in of_opinions})
    person = (conversation_id, user_id)
    for place, counter in enumerate((PARTICIPANT_VOTES, PARTICIPANT_VISIBLE_VOTES)):
        before = {} if participant is None else {person: participant[place]}
        tx.increment(counter, {person: len(opinion_ids)}, before=before)
    first = participant is None or participant["vote_count"] == 0
    for counter, n in ((VOTES, len(opinion_ids)), (PARTICIPANTS, first)):
        tx.increment(counter, {(conversation_id,): int(n)})
    for counter, n in ((VISIBLE_VOTES, len(opinion_ids)), (VISIBLE_PARTICIPANTS, first)):
        tx.increment(counter, {(conversation_id,): int(n)})


async def three_conversations(database: Database, db: Connection) -> dict[UUID, list[UUID]]:
    """ONE, TWO and THREE with two opinions each, with both of which all USERS agree."""
    made = {conversation: await a_conversation(db, conversation) for conversation in (ONE, TWO, THREE)}
    for conversation, opinions in made.items():
        for user in USERS:
            await database.write(partial(agree, conversation_id=conversation, user_id=user, opinion_ids=opinions))
    assert await differing(database, *made) == set()
    return made


def rows(drifts: Sequence[Drift], *, repaired: bool = True) -> set[Row]:
    """The drifts, all of them repaired, or none."""
    assert {drift.repaired for drift in drifts} <= {repaired}
    found = {(d.counter.name, d.counter.resource_id(d.key), d.found.counter, d.found.counted) for d in drifts}
    assert len(found) == len(drifts)
    return found


async def differing(database: Database, *conversation_ids: UUID) -> set[Row]:
    """Where counters are not what the rows say."""
    found = set()
    for counter in VOTING_COUNTERS:
        surveyed = await database.read(partial(survey, counter=counter, aggregates=conversation_ids))
        for key, each in surveyed.discrepancies.items():
            found.add((counter.name, counter.resource_id(key), each.counter, each.counted))
    return found
