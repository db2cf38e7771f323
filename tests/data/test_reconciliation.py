"""Counters that heal themselves: what differs from its rows is found in one snapshot and set right, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from libs.data.catalog.voting import VOTING_COUNTERS
from libs.data.database import Database
from libs.data.reconciliation import reconcile
from libs.data.verification import DISCREPANCIES
from tests.data.databases import opened
from tests.data.opinions import (
    ONE,
    THREE,
    TWO,
    USERS,
    VOTE_COUNT,
    Row,
    agree,
    differing,
    rows,
    three_conversations,
)
from tests.data.rows import waiting_for_locks
from tests.stored import Connection, everything

EVERY_COLUMN = """
UPDATE voting.conversations SET opinion_count = 10, vote_count = 11, participant_count = 12, visible_opinion_count = 13,
    visible_vote_count = 14, visible_participant_count = 15 WHERE conversation_id = $1
"""
OF_OPINIONS = """
UPDATE voting.opinions SET agree_count = agree_count + 2, disagree_count = disagree_count + 3, pass_count = pass_count + 4
WHERE conversation_id = $1 AND opinion_id = $2
"""
OF_PEOPLE = """
UPDATE voting.participants SET vote_count = vote_count - 1, visible_vote_count = visible_vote_count - 2
WHERE conversation_id = $1 AND user_id = $2
"""


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Database]:
    """The database with the rights of the service that reconciles."""
    async with opened(database_url, database_role="tally_voting") as database:
        yield database


@pytest.fixture
async def opinions(database: Database, db: Connection) -> dict[UUID, list[UUID]]:
    return await three_conversations(database, db)


async def audited(db: Connection) -> set[Row]:
    found = await db.fetch("SELECT counter, resource_id, counter_value, counted_value FROM operations.counter_repairs")
    assert len(found) == len({tuple(row) for row in found})
    return {tuple(row) for row in found}


async def test_drift_of_every_kind_is_repaired_audited_told_and_then_gone(
    database: Database,
    service: Database,
    db: Connection,
    opinions: dict[UUID, list[UUID]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """V10, G2."""
    first, _ = opinions[ONE]
    ghost = uuid4()
    await db.execute(EVERY_COLUMN, ONE)
    await db.execute(OF_OPINIONS, ONE, first)
    await db.execute(OF_PEOPLE, ONE, USERS[0])
    await db.execute("DELETE FROM voting.participants WHERE conversation_id = $1 AND user_id = $2", ONE, USERS[1])
    await db.execute("INSERT INTO voting.participants VALUES ($1, $2, 7, 0)", TWO, ghost)
    await db.execute(VOTE_COUNT, [TWO, THREE])
    expected = {
        ("voting.opinions", str(ONE), 10, 2),
        ("voting.votes", str(ONE), 11, 6),
        ("voting.participants", str(ONE), 12, 3),
        ("voting.visible_opinions", str(ONE), 13, 2),
        ("voting.visible_votes", str(ONE), 14, 6),
        ("voting.visible_participants", str(ONE), 15, 3),
        ("voting.opinion_agrees", f"{ONE}/{first}", 5, 3),
        ("voting.opinion_disagrees", f"{ONE}/{first}", 3, 0),
        ("voting.opinion_passes", f"{ONE}/{first}", 4, 0),
        ("voting.participant_votes", f"{ONE}/{USERS[0]}", 1, 2),
        ("voting.participant_visible_votes", f"{ONE}/{USERS[0]}", 0, 2),
        ("voting.participant_votes", f"{ONE}/{USERS[1]}", 0, 2),
        ("voting.participant_visible_votes", f"{ONE}/{USERS[1]}", 0, 2),
        ("voting.participant_votes", f"{TWO}/{ghost}", 7, 0),
        ("voting.votes", str(TWO), 11, 6),
    }
    counted: list[tuple[int, str, str]] = []
    monkeypatch.setattr(DISCREPANCIES, "add", lambda n, of: counted.append((n, of["counter"], of["severity"])))

    with capture_logs() as logs:
        assert rows(await reconcile(service, VOTING_COUNTERS, [ONE, TWO])) == expected

    assert await audited(db) == expected
    assert await differing(database, ONE, TWO, THREE) == {("voting.votes", str(THREE), 11, 6)}, "what nobody asked for"
    alerts = [each for each in logs if each["event"] == "counter_discrepancy"]
    assert {each["severity"] for each in alerts} == {"MEDIUM"}
    columns = ("counter", "resource_id", "counter_value", "counted_value")
    assert {tuple(each[column] for column in columns) for each in alerts} == expected
    assert sorted(counted) == sorted((1, name, "MEDIUM") for name, *_ in expected)
    events = await db.fetch("SELECT * FROM operations.events WHERE kind = 'conversation.counter_repaired'")
    told = [json.loads(event["payload"]) for event in events]
    assert {tuple(each[column] for column in columns) for each in told} == expected
    # One transaction and so one version a conversation; its new values are told as after any other change.
    news = await db.fetch("SELECT DISTINCT aggregate_id, version FROM operations.events WHERE version > 3 ORDER BY 1")
    assert [tuple(row) for row in news] == [(str(ONE), 4), (str(TWO), 4)]
    values = json.loads(
        await db.fetchval(
            "SELECT payload FROM operations.events WHERE kind = 'conversation.counted' AND version = 4 LIMIT 1"
        )
    )["counters"]
    assert values["voting.votes"] == {str(ONE): 6} and values["voting.opinion_agrees"] == {f"{ONE}/{first}": 3}
    assert "voting.participant_votes" not in values

    before = await everything(db)
    assert await reconcile(service, VOTING_COUNTERS, [ONE, TWO]) == []
    assert await everything(db) == before


async def test_where_nothing_is_wrong_nothing_is_locked_or_written(
    service: Database, db: Connection, opinions: dict[UUID, list[UUID]]
) -> None:
    before = await everything(db)
    async with db.transaction():
        await db.execute("LOCK voting.conversations, voting.opinions, voting.participants IN EXCLUSIVE MODE")
        assert await reconcile(service, VOTING_COUNTERS, [*opinions, uuid4()]) == []
    assert await reconcile(service, VOTING_COUNTERS, []) == []
    assert await everything(db) == before


async def test_while_people_vote_exactly_the_drift_is_found(
    database: Database, service: Database, db: Connection, opinions: dict[UUID, list[UUID]]
) -> None:
    """V10, G2: no vote is taken for drift, and no repair undoes a vote."""
    voting = asyncio.Event()

    async def vote(conversation: UUID) -> int:
        for n in range(1000):
            if voting.is_set() and n >= 20:
                return n
            await database.write(lambda tx: agree(tx, conversation, uuid4(), opinions[conversation]))
        raise AssertionError("nobody looked for drift")

    voters = [asyncio.create_task(vote(conversation)) for conversation in (ONE, ONE, TWO, THREE)]
    first = opinions[ONE][0]
    for _ in range(5):
        await db.execute(VOTE_COUNT, [ONE, TWO])
        await db.execute(OF_OPINIONS, ONE, first)
        await db.execute(OF_PEOPLE, TWO, USERS[0])
        drifts = await reconcile(service, VOTING_COUNTERS, list(opinions))
        off = {(d.counter.name, d.key, d.found.counter - d.found.counted, d.repaired) for d in drifts}
        assert off == {
            ("voting.votes", (ONE,), 5, True),
            ("voting.votes", (TWO,), 5, True),
            ("voting.opinion_agrees", (ONE, first), 2, True),
            ("voting.opinion_disagrees", (ONE, first), 3, True),
            ("voting.opinion_passes", (ONE, first), 4, True),
            ("voting.participant_votes", (TWO, USERS[0]), -1, True),
            ("voting.participant_visible_votes", (TWO, USERS[0]), -2, True),
        }
    voting.set()
    votes = 2 * sum(await asyncio.gather(*voters))
    assert await differing(database, *opinions) == set()
    assert await db.fetchval("SELECT sum(vote_count) FROM voting.conversations") == 18 + votes
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == 5 * len(off)


async def test_drift_that_has_gone_by_the_time_of_the_lock_is_left_alone(
    database: Database, service: Database, db: Connection, opinions: dict[UUID, list[UUID]]
) -> None:
    await db.execute(VOTE_COUNT, [ONE])
    held = db.transaction()
    await held.start()
    await db.execute("UPDATE voting.conversations SET vote_count = 6 WHERE conversation_id = $1", ONE)
    looking = asyncio.create_task(reconcile(service, VOTING_COUNTERS, [ONE]))
    await waiting_for_locks(database, 1)
    await held.commit()
    before = await everything(db)
    assert await looking == []
    assert await everything(db) == before
    assert await audited(db) == set()
