"""Voting and adding opinions, for everybody who is waiting, in one transaction (G1, G2, G5)."""

from collections.abc import Sequence
from typing import Any

from libs.data.catalog.voting import (
    CONVERSATIONS,
    OPINION_AGREES,
    OPINION_DISAGREES,
    OPINION_PASSES,
    OPINIONS,
    PARTICIPANT_VISIBLE_VOTES,
    PARTICIPANT_VOTES,
    PARTICIPANTS,
    VISIBLE_OPINIONS,
    VISIBLE_PARTICIPANTS,
    VISIBLE_VOTES,
    VOTES,
)
from libs.data.commit_tokens import encode_token
from libs.data.events import Event
from libs.data.tables import Locked, Table
from libs.data.transaction import Record, Snapshot, Transaction
from services.voting import rules
from services.voting.model import (
    Answer,
    AuthorVote,
    Choice,
    Command,
    ConversationCounts,
    Created,
    CreateOpinion,
    Opinion,
    OpinionCounts,
    OpinionState,
    PastVote,
    Vote,
)

_OF_CONVERSATION = dict(
    zip(
        rules.COUNTS,
        (OPINIONS, VOTES, PARTICIPANTS, VISIBLE_OPINIONS, VISIBLE_VOTES, VISIBLE_PARTICIPANTS),
        strict=True,
    )
)
OF_CHOICE = {Choice.AGREE: OPINION_AGREES, Choice.DISAGREE: OPINION_DISAGREES, Choice.PASS: OPINION_PASSES}


async def vote_and_create(tx: Transaction, commands: Sequence[Command]) -> list[rules.Outcome]:
    """One outcome a command, in order."""
    conversations, seen = await lock_and_look_up(tx, commands)
    decision = rules.decide(conversations.rows, seen, commands)
    insert_votes(tx, decision.inserted)
    update_votes(tx, decision.updated)
    delete_votes(tx, decision.deleted)
    insert_past(tx, decision.past)
    delete_due(tx, decision.no_longer_due)
    insert_opinions(tx, conversations, decision.opinions)
    count(tx, conversations, decision)
    return decision.outcomes


# A row a command, with all that is stored of its opinion, its user and the request; each part is a probe of a primary key.
LOOK_UP = """
SELECT w.conversation_id, w.user_id, w.opinion_id,
       o.state, o.author_id, o.agree_count, o.disagree_count, o.pass_count, d.opinion_id IS NOT NULL AS due,
       p.vote_count AS votes_of_user, p.visible_vote_count,
       v.vote, v.vote_time, v.request_id,
       v.agrees_then, v.disagrees_then, v.passes_then, v.opinions_then, v.votes_then, v.participants_then,
       v.commit_xid::text::bigint AS xid,
       h.request_id AS past_request_id, h.vote AS past_vote, h.vote_time AS past_time,
       h.agrees_then, h.disagrees_then, h.passes_then, h.opinions_then, h.votes_then, h.participants_then,
       h.commit_xid::text::bigint
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS w(conversation_id, user_id, opinion_id, request_id)
LEFT JOIN voting.opinions o ON o.conversation_id = w.conversation_id AND o.opinion_id = w.opinion_id
LEFT JOIN voting.author_votes_due d
    ON d.conversation_id = w.conversation_id AND d.opinion_id = w.opinion_id AND d.author_id = w.user_id
LEFT JOIN voting.participants p ON p.conversation_id = w.conversation_id AND p.user_id = w.user_id
LEFT JOIN voting.votes v
    ON v.conversation_id = w.conversation_id AND v.user_id = w.user_id AND v.opinion_id = w.opinion_id
LEFT JOIN voting.past_votes h
    ON h.conversation_id = w.conversation_id AND h.user_id = w.user_id AND h.opinion_id = w.opinion_id
    AND h.request_id = w.request_id
"""
CREATED = """
SELECT o.conversation_id, o.opinion_id, o.author_id, o.body, o.state, o.external_id, o.created_time, o.request_id,
       coalesce(v.commit_xid, o.commit_xid)::text::bigint AS xid, d.opinion_id IS NOT NULL AS due
FROM unnest($1::uuid[], $2::uuid[]) AS w(conversation_id, request_id)
JOIN voting.opinions o USING (conversation_id, request_id)
LEFT JOIN voting.author_votes_due d USING (conversation_id, opinion_id)
LEFT JOIN voting.votes v
    ON v.conversation_id = o.conversation_id AND v.user_id = o.author_id AND v.opinion_id = o.opinion_id
"""


async def lock_and_look_up(tx: Transaction, commands: Sequence[Command]) -> tuple[Locked[Table], rules.Seen]:
    """The commands' conversations, locked, and what is stored about their opinions and users."""
    creations = [c for c in commands if isinstance(c, CreateOpinion)]
    wanted = [c for c in commands if not isinstance(c, CreateOpinion)]
    conversations, rows = await tx.lock_and_read(
        CONVERSATIONS,
        {c.conversation_id for c in commands},
        LOOK_UP,
        [c.conversation_id for c in wanted],
        [c.user_id for c in wanted],
        [c.opinion_id for c in wanted],
        [None if isinstance(c, AuthorVote) else c.request_id for c in wanted],
    )
    seen = rules.Seen()
    for row in rows:
        _note(seen, row)
    if creations:
        arrays = [c.conversation_id for c in creations], [c.request_id for c in creations]
        for record in await tx.fetch(CREATED, *arrays):
            seen.created[record["conversation_id"], record["request_id"]] = _created(record)
    return conversations, seen


def _note(seen: rules.Seen, row: Sequence[Any]) -> None:
    conversation_id, user_id, opinion_id, state, author_id, agrees, disagrees, passes, due, all_votes, visible = row[
        :11
    ]
    if state is None:
        return
    poll = seen.polls.get((conversation_id, opinion_id))
    if poll is None:
        counts = (agrees, disagrees, passes)
        poll = seen.polls[conversation_id, opinion_id] = rules.Poll(OpinionState(state), author_id, counts, due=due)
    elif due:
        poll.due = True
    if all_votes is not None and (conversation_id, user_id) not in seen.participants:
        seen.participants[conversation_id, user_id] = rules.Participant(all_votes, visible, stored=True)
    choice, vote_time, request_id = row[11:14]
    key = (conversation_id, user_id, opinion_id)
    if choice is not None and key not in seen.votes:
        answer = _answer(row[14:21]) if request_id is not None else None
        seen.votes[key] = Vote(conversation_id, opinion_id, user_id, Choice(choice), vote_time, request_id, answer)
    past_request_id, past_choice, past_time = row[21:24]
    if past_request_id is not None:
        seen.past[*key, past_request_id] = PastVote(
            conversation_id,
            opinion_id,
            user_id,
            None if past_choice is None else Choice(past_choice),
            past_time,
            past_request_id,
            _answer(row[24:31]),
        )


def _answer(row: Sequence[Any]) -> Answer:
    return Answer(OpinionCounts(*row[:3]), ConversationCounts(*row[3:6]), encode_token(row[6]))


def _created(row: Record) -> Created:
    """As it was answered: with its author's vote alone, if that was cast, and the commit of that. Which commit it was is no
    longer known once the author has changed or taken back that vote: then it is that of what stands."""
    opinion = Opinion(
        row["conversation_id"],
        row["opinion_id"],
        row["author_id"],
        row["body"],
        OpinionState.DELETED if row["state"] == OpinionState.DELETED else OpinionState.UNMODERATED,
        OpinionCounts(0, 0, 0),
        row["external_id"],
        row["created_time"],
    )
    return Created(opinion, author_vote_due=row["due"], replayed=True, token=encode_token(row["xid"]))


# What a vote was answered with is kept beside it.
VOTE = """
conversation_id, user_id, opinion_id, vote, vote_time, request_id,
agrees_then, disagrees_then, passes_then, opinions_then, votes_then, participants_then
"""
GIVEN = """
unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::timestamptz[], $6::uuid[],
       $7::integer[], $8::integer[], $9::integer[], $10::integer[], $11::integer[], $12::integer[]"""
INSERT = f"""
INSERT INTO voting.votes ({VOTE})
SELECT * FROM {GIVEN})
"""
UPDATE = f"""
UPDATE voting.votes v
SET vote = n.vote, vote_time = n.vote_time, request_id = n.request_id,
    agrees_then = n.agrees_then, disagrees_then = n.disagrees_then, passes_then = n.passes_then,
    opinions_then = n.opinions_then, votes_then = n.votes_then, participants_then = n.participants_then,
    commit_xid = pg_current_xact_id()
FROM {GIVEN}) AS n({VOTE})
WHERE v.conversation_id = n.conversation_id AND v.user_id = n.user_id AND v.opinion_id = n.opinion_id
"""


def insert_votes(tx: Transaction, votes: Sequence[Vote]) -> None:
    if votes:
        tx.write_last(INSERT, *_columns(votes), rows=len(votes))


def update_votes(tx: Transaction, votes: Sequence[Vote]) -> None:
    if votes:
        tx.write_last(UPDATE, *_columns(votes), rows=len(votes))


def _columns(votes: Sequence[Vote | PastVote]) -> list[list[Any]]:
    answers = [v.answer for v in votes]
    return [
        [v.conversation_id for v in votes],
        [v.user_id for v in votes],
        [v.opinion_id for v in votes],
        [v.choice for v in votes],
        [v.vote_time for v in votes],
        [v.request_id for v in votes],
        [a and a.opinion.agrees for a in answers],
        [a and a.opinion.disagrees for a in answers],
        [a and a.opinion.passes for a in answers],
        [a and a.conversation.opinion_count for a in answers],
        [a and a.conversation.vote_count for a in answers],
        [a and a.conversation.participant_count for a in answers],
    ]


DELETE = """
DELETE FROM voting.votes v
USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS gone(conversation_id, user_id, opinion_id)
WHERE v.conversation_id = gone.conversation_id AND v.user_id = gone.user_id AND v.opinion_id = gone.opinion_id
"""


def delete_votes(tx: Transaction, keys: Sequence[rules.VoteKey]) -> None:
    if keys:
        tx.write_last(DELETE, *(list(column) for column in zip(*keys, strict=True)), rows=len(keys))


INSERT_PAST = f"""
INSERT INTO voting.past_votes ({VOTE}, commit_xid)
SELECT {VOTE}, coalesce(commit_xid::xid8, pg_current_xact_id()) FROM {GIVEN}, $13::text[]) AS n({VOTE}, commit_xid)
"""


def insert_past(tx: Transaction, past: Sequence[PastVote]) -> None:
    if past:
        xids = [str(int(p.answer.token, 16)) if p.answer.token else None for p in past]
        tx.write_last(INSERT_PAST, *_columns(past), xids, rows=len(past))


DELETE_DUE = """
DELETE FROM voting.author_votes_due d
USING unnest($1::uuid[], $2::uuid[]) AS cast_(conversation_id, opinion_id)
WHERE d.conversation_id = cast_.conversation_id AND d.opinion_id = cast_.opinion_id
"""


def delete_due(tx: Transaction, opinions: Sequence[rules.OpinionKey]) -> None:
    if opinions:
        tx.write_last(DELETE_DUE, *(list(column) for column in zip(*opinions, strict=True)), rows=len(opinions))


INSERT_OPINIONS = """
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, request_id, created_time)
SELECT conversation_id, opinion_id, author_id, body, 'unmoderated', request_id, created_time
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::timestamptz[])
     AS o(conversation_id, opinion_id, author_id, body, request_id, created_time)
"""
INSERT_DUE = """
INSERT INTO voting.author_votes_due (conversation_id, opinion_id, author_id, created_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
"""


def insert_opinions(tx: Transaction, conversations: Locked[Table], opinions: Sequence[CreateOpinion]) -> None:
    """Stores and emits new opinions, each with its author's vote to come."""
    if not opinions:
        return
    conversation_ids = [o.conversation_id for o in opinions]
    ids, authors = [o.opinion_id for o in opinions], [o.author_id for o in opinions]
    times = [conversations[o.conversation_id]["locked_time"] for o in opinions]
    bodies, requests = [o.body for o in opinions], [o.request_id for o in opinions]
    tx.write_last(INSERT_OPINIONS, conversation_ids, ids, authors, bodies, requests, times, rows=len(opinions))
    tx.write_last(INSERT_DUE, conversation_ids, ids, authors, times, rows=len(opinions))
    tx.emit(
        Event(
            "opinion.created",
            o.opinion_id,
            conversations.next_version(o.conversation_id),
            {"conversation_id": str(o.conversation_id), "author_id": str(o.author_id)},
        )
        for o in opinions
    )


def count(tx: Transaction, conversations: Locked[Table], decision: rules.Decision) -> None:
    """Moves every counter that the decision changes, and emits what no counter tells: votes that took each other's places."""
    if not decision.changed:
        return
    told = {key for key, changes in decision.counts.items() if any(changes.values())} | {
        key[0] for key in decision.polls
    }
    tx.emit(
        Event(
            "conversation.votes_changed",
            key,
            conversations.next_version(key),
            {"vote_count": conversations[key]["vote_count"]},
        )
        for key in decision.changed - told
    )
    for name, counter in _OF_CONVERSATION.items():
        tx.increment(counter, {(key,): changes[name] for key, changes in decision.counts.items()})
    if decision.polls:
        for choice, counter in OF_CHOICE.items():
            tx.increment(
                counter,
                {key: poll.counts[choice] - poll.before[choice] for key, poll in decision.polls.items()},
                before={key: poll.before[choice] for key, poll in decision.polls.items()},
            )
    if decision.participants:
        people = decision.participants
        tx.increment(
            PARTICIPANT_VOTES,
            {key: person.vote_count - person.before[0] for key, person in people.items()},
            before={key: person.before[0] for key, person in people.items() if person.stored},
        )
        tx.increment(
            PARTICIPANT_VISIBLE_VOTES,
            {key: person.visible_vote_count - person.before[1] for key, person in people.items()},
            before={key: person.before[1] for key, person in people.items() if person.stored},
        )
    tx.touch(CONVERSATIONS, decision.changed)


DUE = """
SELECT d.conversation_id, d.opinion_id, d.author_id FROM voting.author_votes_due d
JOIN voting.conversations c USING (conversation_id)
JOIN voting.opinions o USING (conversation_id, opinion_id)
WHERE d.created_time < now() - make_interval(secs => $1) AND c.state = 'open' AND o.state IN ('unmoderated', 'accepted')
ORDER BY d.created_time
LIMIT $2
"""


async def author_votes_due(snapshot: Snapshot, older_than: float, limit: int) -> list[AuthorVote]:
    """The authors' votes that have been due for so many seconds and can be cast, oldest first."""
    rows = await snapshot.fetch(DUE, older_than, limit)
    return [AuthorVote(row["conversation_id"], row["opinion_id"], row["author_id"]) for row in rows]
