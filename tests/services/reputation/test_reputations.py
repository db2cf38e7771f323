"""GetReputation, BatchGetReputations and ListLeaders."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.reputation.ledger import store
from tests.eventually import becomes_true
from tests.servers import refusal, refused
from tests.services.petition.people import new_uuid
from tests.services.reputation.ledgers import Ledgers, ledger_service, ledgers_add_up
from tests.stored import Connection
from tests.unit.reputation.archive import record

LEVEL = resources.TrustLevel.ValueType


async def rewound(db: Connection, user_id: str, interval: str) -> None:
    """All times of the reputation, so much earlier."""
    times = ("demotion_time", "trend_base_time", "known_since")
    sets = ", ".join(f"{time} = {time} - interval '{interval}'" for time in times)
    await db.execute(f"UPDATE reputation.user_global_reputation SET {sets} WHERE user_id = $1", UUID(user_id))


async def test_a_reputation_says_all_that_follows_from_the_ledger(
    ledgers: Ledgers, db: Connection, database_url: str
) -> None:
    user_id = await ledgers.register()
    told = [
        ("food_rated", 1_00, 5),
        ("food_rated", 50, 4),
        ("food_rated", 50, 4),
        ("recipient_rated", -2_00, 1),
        ("food_shared", 1_00, None),
        ("food_claimed", 50, None),
        ("food_claimed", 50, None),
        ("claim_expired", -2_00, None),
        ("incident_reported", -3_00, None),
        ("dispute_resolved", 8_00, None),
        ("opinion_accepted", 50, None),
    ]
    async with Database.open(DatabaseSettings(database_url=database_url, database_role="tally_reputation")) as database:
        commands = [
            record(impact, event_type, UUID(user_id), stars=stars, stream_id=f"9-{n}", stream_partition=1)
            for n, (event_type, impact, stars) in enumerate(told)
        ]
        await database.write(lambda tx: store.record_and_reverse(tx, commands))
    await rewound(db, user_id, "3 days 2 hours")
    found = await ledgers.reputation(user_id.upper())
    assert (found.user_id, found.overall_score, found.peak_reputation) == (user_id, "80.50", "80.50")
    assert (found.trust_level, found.reputation_trend) == (
        resources.TRUST_LEVEL_TRUSTED,
        resources.REPUTATION_TREND_RISING,
    )
    assert (found.total_food_shared, found.total_food_claimed, found.total_exchanges_completed) == (1, 2, 3)
    assert (found.avg_food_rating, found.avg_recipient_rating, found.reliability_score) == ("4.33", "1.00", "71.43")
    assert (found.reported_incidents, found.resolved_disputes, found.community_contributions) == (1, 1, 1)
    assert (found.event_count, found.account_age_days, found.total_groups_participated) == (11, 3, 0)
    assert found.last_stream_event_id == "9-10"
    assert found.stream_lag.seconds > 86_400 and found.sync_status == "lagging"
    await ledgers_add_up(db)


async def test_levels_rise_at_once_and_fall_when_the_time_of_grace_is_over(ledgers: Ledgers, db: Connection) -> None:
    """Every read answers the level that holds, before any job has written it down."""
    user_id = await ledgers.register()

    async def served() -> tuple[int, bool, int]:
        found = await ledgers.reputation(user_id)
        batch = await ledgers.stub.BatchGetReputations(messages.BatchGetReputationsRequest(user_ids=[user_id]))
        assert batch.results[0].reputation == found
        leaders = await ledgers.stub.ListLeaders(messages.ListLeadersRequest())
        assert [leader.trust_level for leader in leaders.leaders] == [found.trust_level]
        return found.trust_level, found.HasField("demotion_time"), found.allowances.max_active_claims

    assert await served() == (resources.TRUST_LEVEL_DEVELOPING, False, 3)
    await ledgers.record(user_id, impact="20.00")
    assert await served() == (resources.TRUST_LEVEL_EXEMPLARY, False, 10)
    await ledgers.record(user_id, impact="-10.00")
    assert await served() == (resources.TRUST_LEVEL_EXEMPLARY, True, 10)
    await rewound(db, user_id, "7 days")
    assert await served() == (resources.TRUST_LEVEL_TRUSTED, False, 5)
    await ledgers.record(user_id, impact="0.00")
    stored = await db.fetchrow("SELECT trust_level, demotion_time FROM reputation.user_global_reputation")
    assert stored is not None and tuple(stored) == ("trusted", None)
    await ledgers.record(user_id, impact="-45.01")
    assert await served() == (resources.TRUST_LEVEL_RESTRICTED, False, 1)
    changes = await db.fetch(
        "SELECT payload::jsonb ->> 'previous_level', payload::jsonb ->> 'trust_level', payload::jsonb ->> 'overall_score' "
        "FROM operations.events WHERE kind = 'user.trust_level_changed' ORDER BY xid"
    )
    assert [tuple(change) for change in changes] == [
        ("developing", "exemplary", "95.00"),
        ("exemplary", "trusted", "85.00"),
        ("trusted", "restricted", "39.99"),
    ]


async def test_a_trend_is_of_the_present_week(ledgers: Ledgers, db: Connection) -> None:
    user_id = await ledgers.register()
    await ledgers.record(user_id, impact="-1.00")
    assert (await ledgers.reputation(user_id)).reputation_trend == resources.REPUTATION_TREND_FALLING
    await rewound(db, user_id, "7 days")
    assert (await ledgers.reputation(user_id)).reputation_trend == resources.REPUTATION_TREND_STABLE
    await ledgers.record(user_id, impact="1.00")
    assert (await ledgers.reputation(user_id)).reputation_trend == resources.REPUTATION_TREND_RISING


async def test_many_are_read_at_once_each_with_a_result_of_its_own_in_order(ledgers: Ledgers) -> None:
    users = [await ledgers.register() for _ in range(3)]
    for n, user_id in enumerate(users):
        await ledgers.record(user_id, impact=f"{n}.00")
    nobody = new_uuid()
    asked = [users[2].upper(), nobody, users[0], users[2], users[1]]
    results = (await ledgers.stub.BatchGetReputations(messages.BatchGetReputationsRequest(user_ids=asked))).results
    found = [result.reputation.overall_score or refusal(result.error).said for result in results]
    assert found == ["77.00", ("NOT_FOUND", "USER_NOT_FOUND"), "75.00", "77.00", "76.00"]
    assert nobody in results[1].error.message


async def test_reads_that_arrive_together_are_answered_each_with_its_own(ledgers: Ledgers) -> None:
    """Who asks sees what was acknowledged before, and who asks for nobody is told so alone."""
    users = [await ledgers.register() for _ in range(5)]

    async def reads(user_id: str) -> None:
        for n in range(1, 6):
            await ledgers.record(user_id, impact="1.00")
            assert (await ledgers.reputation(user_id)).overall_score == f"{75 + n}.00"

    async def asks_for_nobody() -> None:
        for _ in range(10):
            answer = await refused(ledgers.stub.GetReputation(messages.GetReputationRequest(user_id=new_uuid())))
            assert answer.said == ("NOT_FOUND", "USER_NOT_FOUND")

    await asyncio.gather(*map(reads, users), asks_for_nobody(), asks_for_nobody())


WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE NOT granted AND d.datname = current_database()
"""


async def test_lookups_beyond_those_that_may_wait_are_refused(database_url: str, db: Connection) -> None:
    """B3: those that wait are answered."""
    async with ledger_service(database_url, reputation_max_queue=1) as ledgers:
        users = [await ledgers.register() for _ in range(3)]
        locked = db.transaction()
        await locked.start()
        await db.execute("LOCK TABLE reputation.user_global_reputation")
        in_flight = asyncio.ensure_future(ledgers.reputation(users[0]))

        async def is_read() -> bool:
            return bool(await db.fetchval(WAITING))

        await becomes_true(is_read)
        asked = [ledgers.stub.GetReputation(messages.GetReputationRequest(user_id=user_id)) for user_id in users[1:]]
        done, waiting = await asyncio.wait(map(asyncio.ensure_future, asked), return_when=asyncio.FIRST_COMPLETED)
        assert [(await refused(call)).said for call in done] == [("RESOURCE_EXHAUSTED", "QUEUE_FULL")]
        await locked.rollback()
        assert {(await call).reputation.overall_score for call in waiting} == {"75.00"}
        assert (await in_flight).overall_score == "75.00"


async def leaders(ledgers: Ledgers, level: int = 0, sizes: Sequence[int] = (1000,)) -> list[tuple[str, str]]:
    """User and score of those who are listed, page by page."""
    found, token = [], ""
    for size in sizes:
        request = messages.ListLeadersRequest(trust_level=LEVEL(level), page_size=size, page_token=token)
        page = await ledgers.stub.ListLeaders(request)
        found += [(leader.user_id, leader.overall_score) for leader in page.leaders]
        token = page.next_page_token
    assert not token
    return found


async def test_leaders_are_listed_by_score_in_pages_all_or_those_of_a_level(ledgers: Ledgers, db: Connection) -> None:
    scores = ["24.99", "10.00", "10.00", "10.00", "4.99", "0.00", "-36.00", "-75.00"]
    expected = []
    for change in scores:
        user_id = await ledgers.register()
        expected.append((user_id, (await ledgers.record(user_id, impact=change)).new_score))
    expected.sort(key=lambda leader: (float(leader[1]), leader[0]), reverse=True)
    assert await leaders(ledgers) == expected
    assert await leaders(ledgers, sizes=(3, 1, 2, 2)) == expected
    trusted = [leader for leader in expected if leader[1] == "85.00"]
    assert await leaders(ledgers, resources.TRUST_LEVEL_TRUSTED) == trusted
    assert await leaders(ledgers, resources.TRUST_LEVEL_TRUSTED, (2, 1)) == trusted
    assert await leaders(ledgers, resources.TRUST_LEVEL_LIMITED) == []


@pytest.mark.parametrize("token", ["x", "WyJsZWFkZXJzLyIsMV0", "WyJsZWFkZXJzL3RydXN0ZWQiLDEsMV0"])
async def test_a_token_of_another_listing_is_refused(ledgers: Ledgers, token: str) -> None:
    answer = await refused(ledgers.stub.ListLeaders(messages.ListLeadersRequest(page_token=token)))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
