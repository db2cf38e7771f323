"""Any sequence of events and reversals, in any interleaving of two callers, replays to the stored score (G10).

Two lanes of two processes' kind write to one real database; which of their transactions goes first is not under the test's
control, and nothing may depend on it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from libs.data.catalog.reputation import USERS
from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.settings import DatabaseSettings
from services.reputation.ledger import store_reads, store_users
from services.reputation.ledger.effects import EFFECTS
from services.reputation.ledger.model import Command, Recorded, ReverseEvent
from services.reputation.ledger.recording import Recording, ledger_lane
from services.reputation.settings import ReputationSettings
from tests.seeds import chosen_seed
from tests.services.reputation.ledgers import ledgers_add_up
from tests.stored import Connection
from tests.unit.reputation.archive import DAY, NOON, record

# Few users, days, types and stream ids, so that they meet.
RECORD = st.tuples(
    st.sampled_from(["food_shared", "claim_expired", "food_rated", "incident_reported", "garden_watered"]),
    st.integers(-40_00, 40_00),
    st.integers(0, 1),
    st.integers(0, 1),
    st.one_of(st.none(), st.integers(0, 3)),
)
REVERSE = st.integers(0, 11)
CALLER = st.lists(st.lists(st.one_of(RECORD, REVERSE), min_size=1, max_size=5), max_size=4)
GENTLE = st.lists(
    st.tuples(st.sampled_from(["food_shared", "claim_expired", "food_rated"]), st.integers(-6_00, 6_00)), max_size=5
)


@dataclass
class Scene:
    """Two lanes on one database, each with a pool of its own."""

    runner: asyncio.Runner
    databases: list[Database]
    lanes: list[Recording]
    db: Connection

    async def users(self, number: int = 2) -> list[UUID]:
        made = [uuid4() for _ in range(number)]
        await self.databases[0].write(lambda tx: store_users.make_known(tx, made))
        return made

    async def verified(self, users: Sequence[UUID]) -> None:
        for user_id in users:
            async with self.databases[0].snapshot() as snapshot:
                assert (await store_reads.verify(snapshot, user_id)).consistent
        await ledgers_add_up(self.db)


@asynccontextmanager
async def a_scene(runner: asyncio.Runner, database_url: str) -> AsyncIterator[Scene]:
    opening = DatabaseSettings(database_url=database_url, database_role="tally_reputation")
    db = await asyncpg.connect(database_url)
    async with Database.open(opening) as one, Database.open(opening) as other:
        lanes = [ledger_lane(database, ReputationSettings()) for database in (one, other)]
        yield Scene(runner, [one, other], lanes, db)
    await db.close()


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    async def enter() -> Scene:
        return await opening.__aenter__()

    with asyncio.Runner() as runner:
        opening = a_scene(runner, database_url)
        yield runner.run(enter())
        runner.run(opening.__aexit__(None, None, None))


def commands_of(batch: Sequence[Any], users: Sequence[UUID], recorded: list[UUID]) -> list[Command]:
    commands: list[Command] = []
    for step in batch:
        if isinstance(step, tuple):
            event_type, impact, user, day, told = step
            stream_id = None if told is None else f"9-{told}"
            event = record(
                impact,
                event_type,
                users[user],
                occurred=NOON + day * DAY,
                request_id=uuid4(),
                stream_id=stream_id,
                stars=3 if event_type == "food_rated" else None,
            )
            recorded.append(event.event_id)
            commands.append(event)
        else:
            wanted = recorded[step % len(recorded)] if recorded else uuid4()
            commands.append(ReverseEvent(wanted, "", uuid4()))
    return commands


async def one_caller(lane: Recording, batches: Sequence[Any], users: Sequence[UUID], recorded: list[UUID]) -> int:
    """Sends batch after batch, the commands of each at once; how many were done. Takes back what either caller recorded."""
    done = 0
    for batch in batches:
        commands = commands_of(batch, users, recorded)
        outcomes = await asyncio.gather(*(lane.submit(command) for command in commands), return_exceptions=True)
        for command, outcome in zip(commands, outcomes, strict=True):
            assert isinstance(outcome, Committed | TallyError), outcome
            if isinstance(outcome, Committed):
                done += 1
                again = await lane.submit(command)
                assert again.value == Recorded(_stored(outcome), replayed=True)
    return done


def _stored(committed: Committed[Recorded]) -> Any:
    event = committed.value.event
    event.token = committed.token
    return event


@pytest.mark.parametrize("examples", [25, pytest.param(600, marks=[pytest.mark.heavy, pytest.mark.timeout(600)])])
def test_any_interleaving_of_two_callers_replays_to_the_stored_score(scene: Scene, examples: int) -> None:
    """G2, G5, G10: what was acknowledged is there, once; chain, totals, sums of days and every counter agree."""

    @seeded(chosen_seed())
    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=False
    )
    @given(CALLER, CALLER)
    def interleaved(one: Sequence[Any], other: Sequence[Any]) -> None:
        async def example() -> None:
            users = await scene.users()
            recorded: list[UUID] = []
            done = await asyncio.gather(
                one_caller(scene.lanes[0], one, users, recorded), one_caller(scene.lanes[1], other, users, recorded)
            )
            counted = await scene.db.fetchval(
                "SELECT sum(event_count) FROM reputation.user_global_reputation WHERE user_id = ANY($1::uuid[])", users
            )
            assert counted == sum(done)
            await scene.verified(users)

        scene.runner.run(example())

    interleaved()


def test_caps_do_not_depend_on_the_order_in_which_two_callers_come(scene: Scene) -> None:
    """G10: away from the score's bounds, the same events leave the same score, whoever is first."""

    @seeded(chosen_seed())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=False)
    @given(GENTLE, GENTLE)
    def in_both_orders(one: Sequence[tuple[str, int]], other: Sequence[tuple[str, int]]) -> None:
        async def example() -> None:
            users = await scene.users(3)
            for user_id, pattern in zip(users, ("together", "one first", "backwards"), strict=True):
                events = [[record(impact, type_, user_id) for type_, impact in some] for some in (one, other)]
                if pattern == "together":
                    await asyncio.gather(*(scene.lanes[n].submit(event) for n in range(2) for event in events[n]))
                else:
                    order = [event for some in events for event in some][:: -1 if pattern == "backwards" else 1]
                    for event in order:
                        await scene.lanes[0].submit(event)
            scores = await scene.db.fetch(
                f"SELECT DISTINCT overall_score FROM {USERS.name} WHERE user_id = ANY($1::uuid[])", users
            )
            sums: dict[str, int] = {}
            for event_type, impact in (*one, *other):
                sums[event_type] = sums.get(event_type, 0) + impact
            expected = sum(max(EFFECTS[t].low, min(EFFECTS[t].high, total)) for t, total in sums.items())
            assert [int(row[0] * 100) for row in scores] == [75_00 + expected]
            await scene.verified(users)

        scene.runner.run(example())

    in_both_orders()
