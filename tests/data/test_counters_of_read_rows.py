"""Counters with a table of their own whose values were read under the lock: moved by the seal's one statement."""

import json
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.data.catalog.petition import CO_SIGNERS_BY_REGION, PETITIONS
from libs.data.catalog.voting import (
    CONVERSATIONS,
    OPINION_AGREES,
    OPINION_DISAGREES,
    PARTICIPANT_VISIBLE_VOTES,
    PARTICIPANT_VOTES,
    VOTES,
)
from libs.data.counters import Counter, Key
from libs.data.database import Database
from libs.data.errors import Internal
from libs.data.transaction import Transaction
from tests.data.opinions import a_conversation
from tests.data.rows import some_petitions
from tests.stored import Connection, everything

COUNTS = "SELECT opinion_id, agree_count, disagree_count, xmin::text FROM voting.opinions"

Move = tuple[Counter, dict[Key, int], dict[Key, int] | None]


async def move(tx: Transaction, conversations: list[UUID], *moves: Move) -> None:
    await tx.lock(CONVERSATIONS, conversations)
    for counter, additions, before in moves:
        tx.increment(counter, additions, before)


async def told(db: Connection) -> list[tuple[str, int, object]]:
    """Aggregate, version and new values of each event so far."""
    rows = await db.fetch("SELECT aggregate_id, version, payload FROM operations.events ORDER BY xid, position")
    return [(row[0], row[1], json.loads(row[2])["counters"]) for row in rows]


async def by_id(db: Connection, sql: str) -> dict[UUID, tuple[object, ...]]:
    return {UUID(str(row[0])): tuple(row)[1:] for row in await db.fetch(sql)}


async def test_rows_that_are_there_are_updated_and_those_that_are_not_appear_within_the_seal(
    database: Database, db: Connection
) -> None:
    """G2, G7."""
    one, two = sorted((uuid4(), uuid4()))
    (a, b, untouched), (c,) = await a_conversation(db, one, 3), await a_conversation(db, two, 1)
    known, new, idle = uuid4(), uuid4(), uuid4()
    await db.execute("INSERT INTO voting.participants VALUES ($1, $2, 4, 1)", one, known)
    rows_before = await by_id(db, COUNTS)
    said: list[str] = []

    async def work(tx: Transaction) -> None:
        zero = {(one, a): 0, (one, b): 0, (one, untouched): 0, (two, c): 0}
        await tx.lock(CONVERSATIONS, [one, two])
        tx.increment(VOTES, {(one,): 5})
        tx.increment(OPINION_AGREES, {(one, a): 1, (one, b): 3, (one, untouched): 2, (two, c): 1}, zero)
        tx.increment(OPINION_AGREES, {(one, a): 1, (one, b): -3, (one, untouched): -2}, zero)
        tx.increment(OPINION_DISAGREES, {(one, b): 7, (one, untouched): 0}, zero)
        tx.increment(PARTICIPANT_VOTES, {(one, known): -1, (one, new): 2, (one, idle): 0}, {(one, known): 4})
        tx.increment(PARTICIPANT_VISIBLE_VOTES, {(one, known): 1, (two, new): 6}, {(one, known): 1})
        tx._connection.add_query_logger(lambda query: said.append(query.query))

    await database.write(work)

    (seal,) = (statement for statement in said if "voting." in statement)
    assert [seal.count(f"{change} voting.") for change in ("UPDATE", "INSERT INTO")] == [3, 1]
    counts = await by_id(db, COUNTS)
    assert {key: row[:2] for key, row in counts.items()} == {a: (2, 0), b: (0, 7), untouched: (0, 0), c: (1, 0)}
    assert counts[untouched] == rows_before[untouched], "a row that nothing is added to was written"
    people = {tuple(row) for row in await db.fetch("SELECT * FROM voting.participants")}
    assert people == {(one, known, 3, 2, None), (one, new, 2, 0, None), (two, new, 0, 6, None)}
    assert await told(db) == [
        (
            str(one),
            1,
            {
                "voting.votes": {str(one): 5},
                "voting.opinion_agrees": {f"{one}/{a}": 2},
                "voting.opinion_disagrees": {f"{one}/{b}": 7},
            },
        ),
        (str(two), 1, {"voting.votes": {str(two): 0}, "voting.opinion_agrees": {f"{two}/{c}": 1}}),
    ]


async def test_an_aggregate_of_which_only_such_rows_change_has_a_new_version(
    database: Database, db: Connection
) -> None:
    """G7: what is read with the lock is known to be current by the version alone."""
    conversation, user = uuid4(), uuid4()
    (opinion,) = await a_conversation(db, conversation, 1)

    async def only_touched(tx: Transaction) -> None:
        await tx.lock(CONVERSATIONS, [conversation])
        tx.touch(CONVERSATIONS, [conversation])

    async def version_after(work: Callable[[Transaction], Awaitable[None]]) -> int:
        await database.write(work)
        version: int = await db.fetchval("SELECT version FROM voting.conversations")
        return version

    agrees: Move = (OPINION_AGREES, {(conversation, opinion): 1}, {(conversation, opinion): 0})
    votes: Move = (PARTICIPANT_VOTES, {(conversation, user): 1}, {})
    nothing: Move = (OPINION_AGREES, {(conversation, opinion): 0}, {(conversation, opinion): 1})
    assert await version_after(lambda tx: move(tx, [conversation], agrees)) == 1
    assert await version_after(lambda tx: move(tx, [conversation], votes)) == 2
    assert await version_after(lambda tx: move(tx, [conversation], nothing)) == 2
    assert await version_after(only_touched) == 3
    # What is not served is not told, nor is that nothing else changed.
    assert await told(db) == [(str(conversation), 1, {"voting.opinion_agrees": {f"{conversation}/{opinion}": 1}})]


async def test_a_text_that_breaks_a_counter_down_is_a_key_like_any_other(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    await db.execute("INSERT INTO petition.region_counts VALUES ($1, 'DE', 5)", petition_id)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [petition_id])
        additions = {(petition_id, "DE"): -2, (petition_id, "a/b"): 1}
        tx.increment(CO_SIGNERS_BY_REGION, additions, before={(petition_id, "DE"): 5})

    await database.write(work)
    rows = await db.fetch("SELECT region_code, co_signer_count FROM petition.region_counts")
    assert {tuple(row) for row in rows} == {("DE", 3), ("a/b", 1)}
    counters = {"petition.region_co_signers": {f"{petition_id}/DE": 3, f"{petition_id}/a/b": 1}}
    assert await told(db) == [(str(petition_id), 1, counters)]


async def test_what_cannot_be_moved_exactly_is_a_defect_and_moves_nothing(database: Database, db: Connection) -> None:
    """G2."""
    conversation, known, nobody = uuid4(), uuid4(), uuid4()
    (opinion,) = await a_conversation(db, conversation, 1)
    await db.execute("INSERT INTO voting.participants VALUES ($1, $2, 1, 1)", conversation, known)
    it, person, stranger = (conversation, opinion), (conversation, known), (conversation, nobody)
    gone = (conversation, uuid4())
    votes, visible, agrees = PARTICIPANT_VOTES, PARTICIPANT_VISIBLE_VOTES, OPINION_AGREES
    refused: list[tuple[str, list[Move]]] = [
        ("and not of all", [(votes, {person: 1}, {person: 1}), (visible, {person: 1}, None)]),
        ("both with and without", [(votes, {person: 1}, {person: 1}), (votes, {person: 1}, None)]),
        ("both with and without", [(votes, {person: 1}, None), (votes, {person: 1}, {person: 1})]),
        ("is read with the lock", [(VOTES, {(conversation,): 1}, {(conversation,): 0})]),
        ("appears by itself", [(agrees, {it: 1}, None)]),
        ("1 rows of voting.opinions are not there", [(agrees, {it: 1, gone: 1}, {it: 0})]),
        ("changed without its lock", [(agrees, {(uuid4(), opinion): 1}, {})]),
        ("1 rows changed where 2", [(agrees, {gone: 1}, {gone: 0})]),
        ("2 rows changed where 3", [(votes, {person: 1, stranger: 1}, {person: 1, stranger: 1})]),
        ("participants_pkey", [(votes, {person: 1}, {})]),
        ("participants_vote_count_check", [(votes, {person: -2}, {person: 1})]),
        ("participants_vote_count_check", [(votes, {stranger: -1}, {})]),
    ]
    before = await everything(db)
    for why, moves in refused:
        with pytest.raises(Internal) as caught:
            await database.write(lambda tx, moves=moves: move(tx, [conversation], *moves))  # type: ignore[misc]
        assert isinstance(caught.value.__cause__, AssertionError | asyncpg.IntegrityConstraintViolationError)
        assert why in str(caught.value.__cause__)
        assert await everything(db) == before, why
