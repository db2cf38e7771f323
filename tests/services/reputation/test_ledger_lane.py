"""How commands share transactions: what each is told, also when something goes wrong with one of them."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from libs.data.database import Committed, Database
from libs.data.errors import Internal, ResourceExhausted, Unavailable
from libs.data.settings import DatabaseSettings
from services.reputation.ledger import store_users
from services.reputation.ledger.errors import GroupNotFound, UserNotFound
from services.reputation.ledger.model import Recorded
from services.reputation.ledger.recording import ledger_lane
from services.reputation.settings import ReputationSettings
from tests.services.reputation.ledgers import ledgers_add_up
from tests.stored import Connection
from tests.unit.reputation.archive import record


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url, database_role="tally_reputation")) as opened:
        yield opened


async def some_users(database: Database, number: int) -> list[UUID]:
    made = [uuid4() for _ in range(number)]
    await database.write(lambda tx: store_users.make_known(tx, made))
    return made


async def test_those_that_wait_share_a_transaction_and_each_is_told_its_own(database: Database, db: Connection) -> None:
    """G10: in order of arrival, whatever is refused in between; a caller that is alone goes at once."""
    lane = ledger_lane(database, ReputationSettings())
    one, other = await some_users(database, 2)
    commands = [
        record(user_id=one),
        record(user_id=uuid4()),
        record(user_id=other),
        record(user_id=one, group_id=uuid4()),
        record(user_id=one, impact=-5_00),
    ]
    outcomes = await asyncio.gather(*(lane.submit(command) for command in commands), return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Committed, UserNotFound, Committed, GroupNotFound, Committed]
    done = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
    assert [outcome.value.event.new_score for outcome in done] == [76_00, 76_00, 71_00]
    assert len({outcome.token for outcome in done}) <= 2, "the first may go alone"
    assert await db.fetchval("SELECT count(*) FROM operations.events WHERE kind = 'user.counted'") <= 3
    await ledgers_add_up(db)


async def test_what_the_database_refuses_fails_alone(database: Database, db: Connection) -> None:
    """G1: nothing of it is stored, and everything of the others is."""
    lane = ledger_lane(database, ReputationSettings())
    (user_id,) = await some_users(database, 1)
    commands = [record(user_id=user_id, stars=9 if n == 5 else None) for n in range(12)]
    outcomes = await asyncio.gather(*(lane.submit(command) for command in commands), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Internal)] == [5]
    told = [outcome.value for outcome in outcomes if isinstance(outcome, Committed)]
    assert [recorded.event.sequence for recorded in told if isinstance(recorded, Recorded)] == list(range(1, 12))
    await ledgers_add_up(db)


async def test_a_full_queue_refuses_and_a_drained_lane_takes_nothing_on(database: Database) -> None:
    """G1: what was taken on is answered."""
    lane = ledger_lane(database, ReputationSettings(reputation_max_queue=3))
    (user_id,) = await some_users(database, 1)
    taken = [asyncio.ensure_future(lane.submit(record(user_id=user_id))) for _ in range(5)]
    await asyncio.sleep(0)
    await lane.drain()
    outcomes = await asyncio.gather(*taken, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Committed] * 3 + [ResourceExhausted] * 2
    with pytest.raises(Unavailable) as caught:
        await lane.submit(record(user_id=user_id))
    assert caught.value.reason == "SHUTTING_DOWN"
