"""Reconciling conversations of which one cannot be repaired, or not even be read: the others are."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from libs.data.catalog.voting import VOTING_COUNTERS
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.errors import DeadlineExceeded
from libs.data.reconciliation import reconcile
from libs.data.transaction import Snapshot
from libs.data.verification import Survey, survey
from tests.data.databases import opened
from tests.data.opinions import ONE, THREE, TWO, USERS, VOTE_COUNT, differing, rows, three_conversations
from tests.stored import Connection, everything, halt

HELD = "SELECT FROM voting.conversations WHERE conversation_id = $1 FOR UPDATE"
STRAY = (
    "INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time) VALUES ($1, $2, $3, $4, now())"
)


@pytest.fixture(autouse=True)
async def conversations(database: Database, db: Connection) -> None:
    await three_conversations(database, db)


async def test_a_conversation_that_cannot_be_repaired_holds_up_no_other(
    database_url: str, database: Database, db: Connection
) -> None:
    nowhere, nothing = UUID(int=4), uuid4()
    await db.execute(VOTE_COUNT, [ONE, TWO, THREE])
    await db.execute(STRAY, nowhere, USERS[0], nothing, 1)
    async with opened(database_url, lock_timeout=0.1) as impatient, db.transaction():
        await db.execute(HELD, ONE)
        found = await reconcile(impatient, VOTING_COUNTERS, [ONE, nowhere, TWO, THREE])
    left = [drift for drift in found if not drift.repaired]
    assert {drift.key[0] for drift in left} == {ONE, nowhere}
    assert rows([drift for drift in found if drift.repaired]) == {
        ("voting.votes", str(each), 11, 6) for each in (TWO, THREE)
    }
    assert await differing(database, TWO, THREE) == set()

    # Of one conversation, what has no row to be repaired in does not keep the rest from it.
    await db.execute(STRAY, ONE, USERS[0], nothing, 0)
    found = await reconcile(database, VOTING_COUNTERS, [ONE])
    orphan = {("voting.opinion_passes", f"{ONE}/{nothing}", 0, 1)}
    assert rows([drift for drift in found if not drift.repaired], repaired=False) == orphan
    assert await differing(database, ONE) == orphan

    await db.execute(VOTE_COUNT, [TWO])
    await halt(db)
    before = await everything(db)
    assert rows(await reconcile(database, VOTING_COUNTERS, [TWO]), repaired=False) == {
        ("voting.votes", str(TWO), 11, 6)
    }
    assert await everything(db) == before


async def test_a_conversation_that_cannot_be_read_in_time_keeps_no_other_from_being_looked_at(
    database: Database, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute(VOTE_COUNT, [ONE, TWO, THREE])

    async def slow(snapshot: Snapshot, counter: Counter, aggregates: Sequence[UUID]) -> Survey:
        if TWO in aggregates:
            raise DeadlineExceeded
        return await survey(snapshot, counter, aggregates)

    monkeypatch.setattr("libs.data.verification.survey", slow)
    with capture_logs() as logs:
        found = await reconcile(database, VOTING_COUNTERS, [ONE, TWO, THREE])
    assert rows(found) == {("voting.votes", str(each), 11, 6) for each in (ONE, THREE)}
    postponed = [each["aggregate_id"] for each in logs if each["event"] == "reconciliation_postponed"]
    assert postponed == [str(TWO)]
