"""The lane in which everything that signs meets, driven without a server so that the order of arrival is the test's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data.database import Database
from libs.data.errors import ResourceExhausted, TallyError, Unavailable
from libs.data.settings import DatabaseSettings
from services.petition import store_petitions
from services.petition.errors import AlreadySigned, CoSignNotFound
from services.petition.model import NewPetition, Petition, Sign, Withdraw
from services.petition.settings import PetitionSettings
from services.petition.signing import Signing
from tests.data.rows import waiting_for_locks
from tests.servers import refusal
from tests.services.petition.people import a_signature, new_uuid
from tests.stored import Connection, counters_equal_rows


@asynccontextmanager
async def a_lane(database_url: str, **settings: object) -> AsyncIterator[tuple[Database, Signing]]:
    database_settings = DatabaseSettings(database_url=database_url, database_role="tally_petition")
    async with Database.open(database_settings) as database:
        signing = Signing(database, PetitionSettings(**settings))  # type: ignore[arg-type]
        try:
            yield database, signing
        finally:
            await signing.drain()


def superuser(database_url: str) -> DatabaseSettings:
    """Who may see what other sessions wait for."""
    return DatabaseSettings(database_url=database_url)


async def a_petition(database: Database, *thresholds: int) -> UUID:
    new = NewPetition("Title", "Body", "local", uuid4(), thresholds)
    created = (await database.write(lambda tx: store_petitions.create(tx, new, (), uuid4()))).value
    assert isinstance(created, Petition)
    return created.petition_id


@asynccontextmanager
async def held(db: Connection, petition_id: UUID) -> AsyncIterator[None]:
    """While open, no transaction gets the petition's row."""
    transaction = db.transaction()
    await transaction.start()
    await db.execute("SELECT FROM petition.petition_submissions WHERE petition_id = $1 FOR UPDATE", petition_id)
    try:
        yield
    finally:
        await transaction.rollback()


def each(signing: Signing, commands: Sequence[Sign | Withdraw]) -> "asyncio.Future[list[object]]":
    """The outcome of each command, all of them sent at once in this order."""
    calls = [signing.sign(c) if isinstance(c, Sign) else signing.withdraw(c) for c in commands]
    return asyncio.gather(*calls, return_exceptions=True)


async def test_signing_withdrawing_and_signing_again_in_one_transaction_leaves_count_and_rows_equal(
    database_url: str, db: Connection
) -> None:
    """G2: a signature withdrawn in the transaction that made it never stands, but keeps its ordinal and its answer."""
    async with a_lane(database_url) as (database, signing):
        petition_id = await a_petition(database, 2)
        user, other = uuid4(), uuid4()
        first = Sign(petition_id, user, "DE", uuid4())
        commands: list[Sign | Withdraw] = [
            Sign(petition_id, other, "FR", uuid4()),  # alone in the first transaction, for it comes first
            first,
            Withdraw(petition_id, user, uuid4()),
            Withdraw(petition_id, user, uuid4()),
            Sign(petition_id, user, "IT", uuid4()),
            Sign(petition_id, user, "ES", uuid4()),
            Withdraw(petition_id, other, uuid4()),
        ]
        outcomes = await each(signing, commands)
        assert [type(o) for o in outcomes if isinstance(o, TallyError)] == [CoSignNotFound, AlreadySigned]
        await counters_equal_rows(db)
        standing = await db.fetch("SELECT user_id, ordinal, region_code FROM petition.co_signs")
        assert [tuple(row) for row in standing] == [(user, 3, "IT")]
        passings = await db.fetch("SELECT kind, co_signer_count, ordinal FROM petition.escalations ORDER BY position")
        assert [tuple(row) for row in passings] == [
            ("crossed", 2, 2),
            ("reversed", 1, 0),
            ("crossed", 2, 3),
            ("reversed", 1, 0),
        ]
        again = await signing.sign(first)
        assert (again.value.replayed, again.value.signature.ordinal) == (True, 2)
        tokens = {outcome.token for outcome in outcomes[1:] if not isinstance(outcome, BaseException)}  # type: ignore[attr-defined]
        assert {again.value.signature.token} == tokens


async def test_a_batch_that_signs_and_withdraws_as_many_leaves_the_count_and_moves_the_ordinals(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url) as (database, signing):
        petition_id = await a_petition(database)
        leaver = uuid4()
        await signing.sign(Sign(petition_id, leaver, "DE", uuid4()))
        async with held(db, petition_id):
            blocker = each(signing, [Sign(petition_id, uuid4(), None, uuid4())])
            await asyncio.sleep(0)
            swap: list[Sign | Withdraw] = [
                Withdraw(petition_id, leaver, uuid4()),
                Sign(petition_id, uuid4(), "DE", uuid4()),
            ]
            together = each(signing, swap)
            await asyncio.sleep(0)
        await blocker
        assert not any(isinstance(outcome, BaseException) for outcome in await together)
        row = await db.fetchrow("SELECT co_signer_count, last_ordinal FROM petition.petition_submissions")
        assert row is not None and tuple(row) == (2, 3)
        await counters_equal_rows(db)


async def test_what_arrives_while_a_transaction_is_in_flight_shares_the_next_one(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url) as (database, signing):
        petition_id = await a_petition(database)
        async with held(db, petition_id):
            calls = each(signing, [Sign(petition_id, uuid4(), None, uuid4()) for _ in range(100)])
            await asyncio.sleep(0)
        await calls
        assert await db.fetchval("SELECT count(DISTINCT commit_xid) FROM petition.co_signs") <= 2
        assert await db.fetchval("SELECT count(*) FROM petition.co_signs") == 100


@pytest.mark.parametrize("same_request", [False, True])
async def test_a_signature_that_another_service_stored_while_this_one_waited_for_the_petition_is_seen(
    database_url: str, db: Connection, same_request: bool
) -> None:
    """G2, G5: the other one held the row when this one began to look."""
    async with a_lane(database_url) as (database, signing), Database.open(superuser(database_url)) as watcher:
        petition_id = await a_petition(database)
        user, request_id = uuid4(), uuid4()
        other = db.transaction()
        await other.start()
        await db.execute(
            "INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time) "
            "VALUES ($1, $2, 1, 1, $3, now())",
            *(petition_id, user, request_id),
        )
        await db.execute(
            "UPDATE petition.petition_submissions SET co_signer_count = 1, signature_rank = 1, last_ordinal = 1, version = 1"
        )
        ours = asyncio.create_task(signing.sign(Sign(petition_id, user, None, request_id if same_request else uuid4())))
        await waiting_for_locks(watcher, 1)
        await other.commit()
        if same_request:
            assert ((await ours).value.replayed, (await ours).value.signature.ordinal) == (True, 1)
        else:
            with pytest.raises(AlreadySigned):
                await ours
        await counters_equal_rows(db)


async def test_a_stream_takes_no_more_than_its_window_while_nothing_commits(database_url: str, db: Connection) -> None:
    taken = 0

    async def requests(petition_id: UUID) -> AsyncIterator[messages.CoSignRequest]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield a_signature(str(petition_id))

    async with a_lane(database_url, petition_stream_window=8) as (database, signing):
        petition_id = await a_petition(database)
        async with held(db, petition_id):
            results = signing.sign_stream(requests(petition_id))
            first = asyncio.ensure_future(anext(results))
            for _ in range(1000):
                await asyncio.sleep(0)
            assert (taken, first.done()) == (8, False)
        ordinals = [(await first).co_sign.co_sign.ordinal, *[r.co_sign.co_sign.ordinal async for r in results]]
        assert ordinals == list(range(1, 101))


async def test_a_full_queue_refuses_with_a_time_to_come_back_and_takes_nothing_on(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url, petition_max_queue=5) as (database, signing):
        petition_id = await a_petition(database)
        async with held(db, petition_id):
            outcomes = each(signing, [Sign(petition_id, uuid4(), None, uuid4()) for _ in range(20)])
            await asyncio.sleep(0)
        refused = [outcome for outcome in await outcomes if isinstance(outcome, BaseException)]
        assert {type(outcome) for outcome in refused} == {ResourceExhausted}
        assert all(isinstance(outcome, ResourceExhausted) and outcome.retry_after_seconds > 0 for outcome in refused)
        stored = await db.fetchval("SELECT count(*) FROM petition.co_signs")
        assert (stored, len(refused)) == (20 - len(refused), 15)
        await counters_equal_rows(db)


async def test_after_draining_nothing_is_taken_on(database_url: str, db: Connection) -> None:
    async with a_lane(database_url) as (database, signing):
        petition_id = await a_petition(database)
        taken = [asyncio.create_task(signing.sign(Sign(petition_id, uuid4(), None, uuid4()))) for _ in range(10)]
        await asyncio.sleep(0)
        await signing.drain()
        assert [(await task).value.signature.ordinal for task in taken] == list(range(1, 11))
        with pytest.raises(Unavailable) as caught:
            await signing.sign(Sign(petition_id, uuid4(), None, uuid4()))
        assert caught.value.reason == "SHUTTING_DOWN"


async def test_an_early_end_of_a_stream_stops_taking_and_keeps_count_and_rows_equal(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url, petition_stream_window=4) as (database, signing):
        petition_id = await a_petition(database)

        async def endless() -> AsyncIterator[messages.CoSignRequest]:
            while True:
                yield a_signature(str(petition_id), new_uuid())

        results = signing.sign_stream(endless())
        acknowledged = [(await anext(results)).co_sign.co_sign.user_id for _ in range(10)]
        await results.aclose()  # type: ignore[attr-defined]
        await signing.drain()
        stored = {str(row[0]) for row in await db.fetch("SELECT user_id FROM petition.co_signs")}
        assert stored >= set(acknowledged)
        await counters_equal_rows(db)


async def test_a_full_queue_refuses_single_items_of_a_stream_which_goes_on(database_url: str, db: Connection) -> None:
    async with a_lane(database_url, petition_max_queue=3, petition_stream_window=50) as (database, signing):
        petition_id = await a_petition(database)

        async def requests() -> AsyncIterator[messages.CoSignRequest]:
            for _ in range(50):
                yield a_signature(str(petition_id))

        async with held(db, petition_id):
            stream = signing.sign_stream(requests())
            first = asyncio.ensure_future(anext(stream))
            for _ in range(1000):
                await asyncio.sleep(0)
        results = [await first, *[result async for result in stream]]
        refused = [refusal(result.error) for result in results if result.HasField("error")]
        assert {answer.said for answer in refused} == {("RESOURCE_EXHAUSTED", "QUEUE_FULL")}
        assert all(answer.retry_after for answer in refused)
        assert 0 < await db.fetchval("SELECT count(*) FROM petition.co_signs") == 50 - len(refused) < 50
        await counters_equal_rows(db)
