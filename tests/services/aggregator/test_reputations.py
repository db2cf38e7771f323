"""Scores, totals and members are served from memory by their declarations, and the leaders are ranked by the score."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tally.common.v1 import count_pb2
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from libs.data.catalog.reputation import REPUTATION_COUNTERS, SCORE
from tests.eventually import becomes_true
from tests.services.aggregator.counting import Counters, key
from tests.services.reputation.groups.circle import Groups, a_leave
from tests.services.reputation.ledgers import Ledgers
from tests.services.reputation.serving import reputation_channel
from tests.stored import Connection

LEADERS = """
SELECT user_id::text, (overall_score * 100)::bigint FROM reputation.user_global_reputation
ORDER BY overall_score DESC, user_id DESC
"""


@pytest.fixture
async def services(database_url: str, db: Connection) -> AsyncIterator[tuple[Ledgers, Groups]]:
    async with reputation_channel(database_url) as channel:
        yield Ledgers(ReputationServiceStub(channel)), Groups(GroupServiceStub(channel), db)


async def stored_counts(db: Connection) -> dict[tuple[str, str], int]:
    """By counter and resource."""
    counts = {}
    for counter in REPUTATION_COUNTERS:
        table = counter.aggregate
        for resource_id, count in await db.fetch(
            f"SELECT {table.key}::text, {counter.value_sql()} FROM {table.name} t"
        ):
            counts[counter.name, resource_id] = count
    return counts


async def test_served_counts_of_users_and_groups_follow_every_kind_of_write(
    services: tuple[Ledgers, Groups], counters: Counters, db: Connection
) -> None:
    """G6: by events alone, after they were read once."""
    ledgers, groups = services
    user = await ledgers.register()
    group = (await groups.create(await ledgers.register())).group_id
    known = await stored_counts(db)
    assert len(known) == 2 * 14 + 2

    async def served_as_stored() -> bool:
        results = await counters.batch([key(resource_id, name) for name, resource_id in known])
        assert all(result.count.source == count_pb2.SOURCE_CACHE for result in results)
        stored = await stored_counts(db)
        return [result.count.value for result in results] == [stored[each] for each in known]

    await counters.batch([key(resource_id, name) for name, resource_id in known])
    event = await ledgers.record(user, "food_shared", "1.00")
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: ledgers.record(user, "claim_expired", "-2.25"),
        lambda: ledgers.record(user, "dispute_resolved", "-3.00"),  # below its cap of the day: the score stays
        lambda: ledgers.reverse(event.event_id),
        lambda: groups.join(group, user),
        lambda: groups.stub.LeaveGroup(a_leave(group, user)),
    ]
    for change in changes:
        before = await stored_counts(db)
        await change()
        assert await stored_counts(db) != before, "nothing to follow"
        await becomes_true(served_as_stored)


async def test_those_with_the_highest_scores_are_ranked_and_move(
    services: tuple[Ledgers, Groups], counters: Counters, db: Connection
) -> None:
    """A5: as the database has them, newcomers who start with 75.00 among them."""
    ledgers, _ = services
    users = [await ledgers.register() for _ in range(4)]
    await ledgers.record(users[0], impact="5.01")

    async def as_stored() -> bool:
        return await counters.top(counter=SCORE.name) == [tuple(row) for row in await db.fetch(LEADERS)]

    assert await as_stored()
    assert await counters.top(1, SCORE.name) == [(users[0], 80_01)]
    await ledgers.record(users[0], impact="-80.01")
    await ledgers.record(users[1], impact="99.99")
    await ledgers.register()
    await becomes_true(as_stored)
    assert await counters.top(1, SCORE.name) == [(users[1], 99_99)]
