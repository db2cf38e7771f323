"""Importing a conversation: opening it, and then its opinions and votes, a batch a transaction (G1, G2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.data.catalog.voting import CONVERSATIONS
from libs.data.errors import TallyError
from libs.data.tables import Locked, Table
from libs.data.transaction import Transaction
from services.voting import rules_import, store, store_conversations
from services.voting.errors import ConversationLocked
from services.voting.model import Choice, ConversationCounts, ConversationState, OpinionState, Vote
from services.voting.model_transfer import Header, Item, OpinionItem, VoteItem
from services.voting.names import Names, candidates, conversation_ids, meant
from services.voting.rules_import import Ballot, ImportedPoll, Known, NewOpinion, Person, Standing

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation that is ready to be imported into."""

    conversation_id: UUID
    counts: ConversationCounts


FIND = """
SELECT c.conversation_id FROM unnest($1::uuid[]) WITH ORDINALITY AS w(conversation_id, place)
JOIN voting.conversations c USING (conversation_id)
ORDER BY w.place LIMIT 1
"""
CREATE = """
INSERT INTO voting.conversations (conversation_id, title, description, external_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (conversation_id) DO NOTHING
"""


async def open_conversation(tx: Transaction, header: Header) -> Opened:
    """The conversation that the header means, made if there is none. One that is there keeps its title and description."""
    ids = conversation_ids(header.external_id)
    found: UUID | None = await tx.fetchval(FIND, ids)
    conversation_id = found or ids[0]
    if found is None and await tx.execute(
        CREATE, conversation_id, header.title, header.description, header.external_id
    ):
        tx.emit([store_conversations.created(conversation_id)])
    row = (await lock_open(tx, conversation_id))[conversation_id]
    return Opened(
        conversation_id, ConversationCounts(row["opinion_count"], row["vote_count"], row["participant_count"])
    )


async def lock_open(tx: Transaction, conversation_id: UUID) -> Locked[Table]:
    conversations = await tx.lock(CONVERSATIONS, [conversation_id])
    if conversations[conversation_id]["state"] == ConversationState.LOCKED:
        raise ConversationLocked(conversation_id)
    return conversations


@dataclass(slots=True)
class Imported:
    """What became of a batch: the conversation's counts after it, items that changed nothing, and items left out."""

    counts: ConversationCounts
    unchanged: int
    rejected: list[tuple[int, TallyError]]


async def import_batch(tx: Transaction, conversation_id: UUID, names: Names, items: Sequence[Item]) -> Imported:
    conversations = await lock_open(tx, conversation_id)
    known = await look_up(tx, conversation_id, names, items)
    decision = rules_import.decide(conversations.rows[conversation_id], known, items, names.opinion)
    await insert_people(tx, conversation_id, decision.people)
    await insert_opinions(tx, conversation_id, decision.opinions)
    insert_votes(tx, conversation_id, decision.inserted)
    replace_votes(tx, conversation_id, decision.replaced)
    store.count(tx, conversations, decision.moved)
    return Imported(decision.counts, decision.unchanged, decision.rejected)


async def look_up(tx: Transaction, conversation_id: UUID, names: Names, items: Sequence[Item]) -> Known:
    """What is stored of what the items name."""
    opinions = {item.opinion: None for item in items}
    people = {item.participant if isinstance(item, VoteItem) else item.author: None for item in items}
    known = Known()
    polls = await read_polls(tx, conversation_id, candidates(opinions, names.opinion))
    for external_id in opinions:
        if (poll := meant(external_id, names.opinion, polls)) is not None:
            known.polls[external_id] = poll
    rows = await read_people(tx, conversation_id, candidates(people, names.person))
    for external_id in people:
        person = meant(external_id, names.person, rows)
        known.people[external_id] = person or Person(names.person(external_id), external_id)
    await read_votes(tx, conversation_id, known, items)
    return known


POLLS = """
SELECT o.opinion_id, o.state, o.author_id, o.agree_count, o.disagree_count, o.pass_count
FROM unnest($1::uuid[], $2::uuid[]) AS w(conversation_id, opinion_id)
JOIN voting.opinions o USING (conversation_id, opinion_id)
"""


async def read_polls(tx: Transaction, conversation_id: UUID, ids: Sequence[UUID]) -> dict[UUID, ImportedPoll]:
    rows = await tx.fetch(POLLS, [conversation_id] * len(ids), ids)
    return {row[0]: ImportedPoll(row[0], OpinionState(row[1]), row[2], tuple(row[3:])) for row in rows}


PEOPLE = """
SELECT p.user_id, p.external_id, p.vote_count, p.visible_vote_count
FROM unnest($1::uuid[], $2::uuid[]) AS w(conversation_id, user_id)
JOIN voting.participants p USING (conversation_id, user_id)
"""


async def read_people(tx: Transaction, conversation_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Person]:
    rows = await tx.fetch(PEOPLE, [conversation_id] * len(ids), ids)
    return {user_id: Person(user_id, name, votes, visible, stored=True) for user_id, name, votes, visible in rows}


# The vote that stands, or else the last that was taken back.
VOTES = """
SELECT w.place, v.vote, v.vote_time, v.request_id IS NOT NULL AS live
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS w(conversation_id, user_id, opinion_id, place)
JOIN voting.votes v USING (conversation_id, user_id, opinion_id)
UNION ALL
SELECT w.place, NULL, max(h.vote_time), NULL
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS w(conversation_id, user_id, opinion_id, place)
JOIN voting.past_votes h USING (conversation_id, user_id, opinion_id)
WHERE h.vote IS NULL
GROUP BY w.place
"""


async def read_votes(tx: Transaction, conversation_id: UUID, known: Known, items: Sequence[Item]) -> None:
    ballots: dict[Ballot, None] = {}
    for item in items:
        if isinstance(item, VoteItem) and (poll := known.polls.get(item.opinion)) is not None:
            person = known.people[item.participant]
            if person.stored:
                ballots[person, poll] = None
    if not ballots:
        return
    places = list(ballots)
    for place, vote, vote_time, live in await tx.fetch(VOTES, *_keys(conversation_id, places)):
        ballot = places[place - 1]
        if vote is None:
            known.cancelled[ballot] = vote_time
        else:
            choice = Choice(vote)
            known.votes[ballot] = Standing(choice, vote_time, (choice, vote_time), live)


INSERT_PEOPLE = """
INSERT INTO voting.participants (conversation_id, user_id, external_id)
SELECT $1, * FROM unnest($2::uuid[], $3::text[])
"""


async def insert_people(tx: Transaction, conversation_id: UUID, people: Sequence[Person]) -> None:
    """Before their votes are counted: the rows that appear by counting know nothing of external ids."""
    if not people:
        return
    ids, external_ids = [person.user_id for person in people], [person.external_id for person in people]
    await tx.execute(INSERT_PEOPLE, conversation_id, ids, external_ids)
    for person in people:
        person.stored = True


INSERT_OPINIONS = """
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, external_id, created_time)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
"""


async def insert_opinions(tx: Transaction, conversation_id: UUID, opinions: Sequence[NewOpinion]) -> None:
    """Before the votes on them are counted."""
    if opinions:
        items: list[OpinionItem] = [opinion.item for opinion in opinions]
        await tx.execute(
            INSERT_OPINIONS,
            conversation_id,
            [opinion.opinion_id for opinion in opinions],
            [opinion.author_id for opinion in opinions],
            [item.body for item in items],
            [item.state.value for item in items],
            [item.opinion for item in items],
            [opinion.created_time for opinion in opinions],
        )


INSERT_VOTES = """
INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::timestamptz[])
"""


def insert_votes(tx: Transaction, conversation_id: UUID, votes: Sequence[tuple[Ballot, Standing]]) -> None:
    if votes:
        tx.write_last(
            INSERT_VOTES,
            conversation_id,
            [person.user_id for (person, _), _ in votes],
            [poll.opinion_id for (_, poll), _ in votes],
            [standing.choice for _, standing in votes],
            [standing.vote_time for _, standing in votes],
            rows=len(votes),
        )


# What was answered when they were cast stays, for whoever repeats the request.
PUT_BY = f"""
INSERT INTO voting.past_votes ({store.VOTE}, commit_xid)
SELECT {store.VOTE}, v.commit_xid FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w(conversation_id, user_id, opinion_id)
JOIN voting.votes v USING (conversation_id, user_id, opinion_id)
"""


def replace_votes(tx: Transaction, conversation_id: UUID, votes: Sequence[tuple[Ballot, Standing]]) -> None:
    live = [ballot for ballot, standing in votes if standing.live]
    if live:
        tx.write_last(PUT_BY, *_keys(conversation_id, live), rows=len(live))
    store.update_votes(
        tx,
        [
            Vote(conversation_id, poll.opinion_id, person.user_id, standing.choice, standing.vote_time, None, None)
            for (person, poll), standing in votes
        ],
    )


def _keys(conversation_id: UUID, ballots: Sequence[Ballot]) -> list[list[UUID]]:
    """Keys of votes. The conversation's is told for each: told once, a plan could begin with all that is in it."""
    people, polls = [person.user_id for person, _ in ballots], [poll.opinion_id for _, poll in ballots]
    return [[conversation_id] * len(ballots), people, polls]
