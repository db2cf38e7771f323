"""Under concurrent load, with little memory and without a database: what the aggregator answers stays true."""

import asyncio
import random
import time

import asyncpg
import grpc.aio
import pytest
from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_service_pb2 as petition_messages

from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.follower import Follower
from libs.data.ids import parse_id
from libs.data.settings import DatabaseSettings
from libs.data.verification import repair
from libs.devstack.postgres import Cluster
from services.aggregator import store
from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.aggregator.counting import (
    BY_REGION,
    ORDINALS,
    PRIMARY,
    Counters,
    aggregator,
    at_least,
    at_most,
    key,
    seconds,
)
from tests.services.petition.people import Petitions, a_signature, petition_service
from tests.stored import Connection


async def test_a_value_never_goes_backwards_for_a_caller(petitions: Petitions, database_url: str) -> None:
    """Signing, and reading every way there is, from a memory so small that everything is forgotten all the time (G6)."""
    ids = [(await petitions.create()).petition_id for _ in range(6)]
    chance = random.Random(5)
    tokens: dict[str, str] = {}
    over, reads = False, 0

    async def sign() -> None:
        while not over:
            petition_id = chance.choice(ids)
            requests = [a_signature(petition_id) for _ in range(chance.randrange(1, 5))]
            answer = await petitions.stub.BatchCoSign(petition_messages.BatchCoSignRequest(requests=requests))
            tokens[petition_id] = answer.results[0].co_sign.commit_token

    async def read(counters: Counters) -> None:
        nonlocal reads
        highest = dict.fromkeys(ids, 0)
        while not over:
            petition_id = chance.choice(ids)
            ways = [None, None, PRIMARY, at_most(0.05), at_most(0)]
            if petition_id in tokens:
                ways.append(at_least(tokens[petition_id]))
            count = await counters.get(petition_id, chance.choice(ways), ORDINALS)
            assert count.value >= highest[petition_id], f"{count.source}: {count.value} after {highest[petition_id]}"
            highest[petition_id] = count.value
            reads += 1

    async def enough() -> bool:
        return reads > 3_000

    async with aggregator(database_url, aggregator_max_entries=3) as counters:
        writing = [asyncio.create_task(sign()) for _ in range(8)]
        reading = [asyncio.create_task(read(counters)) for _ in range(16)]
        await becomes_true(enough, within=60.0)
        over = True
        await asyncio.gather(*writing, *reading)


async def test_news_older_than_what_was_read_are_ignored(
    petitions: Petitions, counters: Counters, db: Connection, database_url: str
) -> None:
    """The stream, held up by open transactions, tells of the first signature when the second was already read (G6)."""
    petition_id = (await petitions.create()).petition_id
    other = await asyncpg.connect(database_url)
    first, second = db.transaction(), other.transaction()
    try:
        await first.start()
        await db.fetchval("SELECT pg_current_xact_id()")
        one = await petitions.sign(petition_id)
        await second.start()
        await other.fetchval("SELECT pg_current_xact_id()")
        await petitions.sign(petition_id)
        assert await counters.value(petition_id, PRIMARY) == 2
        await first.commit()

        async def has_told_of_the_first() -> bool:
            count = await counters.get(petition_id)
            assert (count.value, count.source) == (2, count_pb2.SOURCE_CACHE)
            return int(count.commit_token, 16) >= int(one.commit_token, 16)

        await becomes_true(has_told_of_the_first)
        await second.commit()
    finally:
        await other.close()
    assert await counters.value(petition_id, at_most(0)) == 2


@pytest.mark.parametrize("counter", [CO_SIGNERS, CO_SIGNERS_BY_REGION], ids=lambda counter: counter.name)
async def test_a_repaired_counter_is_told_and_so_is_what_follows(
    petitions: Petitions, counters: Counters, db: Connection, database_url: str, counter: Counter
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 3, region_code="DE")
    resource: tuple[object, ...] = (parse_id(petition_id), "DE")[: len(counter.key_columns)]
    resource_id = counter.resource_id(resource)
    # A version of its own: else news of the third signature, late, count for as much.
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 9, version = version + 1")
    await db.execute("UPDATE petition.region_counts SET co_signer_count = 9")
    assert await counters.value(resource_id, counter=counter.name) == 9
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        repaired = await database.write(lambda tx: repair(tx, counter, resource))
    assert repaired.token is not None
    assert await counters.value(resource_id, at_least(repaired.token), counter.name) == 3
    signed = await petitions.sign(petition_id, region_code="DE")
    assert await counters.value(resource_id, at_least(signed.commit_token), counter.name) == 4


async def test_everybody_who_asks_at_once_is_answered_by_one_statement(
    petitions: Petitions, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(20)]
    asked: list[int] = []
    read = store.read
    gate = asyncio.Event()

    async def counted(*arguments: object, **named: object) -> object:
        asked.append(len(named["resource_ids"]))  # type: ignore[arg-type]
        await gate.wait()
        return await read(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", counted)
    first = asyncio.create_task(counters.get(ids[0]))
    await becomes_true(lambda: _is_true(asked == [1]))
    # The first is being read: those who ask for it join; the others go together, next.
    waiting = [asyncio.create_task(counters.get(ids[n % 20])) for n in range(200)]
    await asyncio.sleep(0.5)
    assert asked == [1]
    gate.set()
    await asyncio.gather(first, *waiting)
    assert asked == [1, 19]


async def _is_true(condition: bool) -> bool:
    return condition


async def test_a_caller_that_gives_up_does_not_stop_the_reading_others_wait_for(
    petitions: Petitions, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    petition = await petitions.create()
    read, gate, begun = store.read, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: object, **named: object) -> object:
        begun.set()
        await gate.wait()
        return await read(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", slow)
    impatient = asyncio.create_task(counters.get(petition.petition_id))
    await begun.wait()
    patient = asyncio.create_task(counters.get(petition.petition_id))
    await asyncio.sleep(0.1)
    impatient.cancel()
    await asyncio.sleep(0.1)
    gate.set()
    assert (await patient).value == 0


async def test_news_that_come_while_a_value_is_being_read_are_not_lost(
    petitions: Petitions, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream goes past a signature after the reading's snapshot was taken and before its result arrives."""
    petition = await petitions.create()
    read, gate, was_read = store.read, asyncio.Event(), asyncio.Event()

    async def late(*arguments: object, **named: object) -> object:
        result = await read(*arguments, **named)  # type: ignore[arg-type]
        was_read.set()
        await gate.wait()
        return result

    monkeypatch.setattr(store, "read", late)
    followers: list[Follower] = []
    init = Follower.__init__

    def remember(self: Follower, *arguments: object, **named: object) -> None:
        followers.append(self)
        init(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Follower, "__init__", remember)
    async with aggregator(database_url) as counters:
        reading = asyncio.create_task(counters.get(petition.petition_id))
        await was_read.wait()
        signed = await petitions.sign(petition.petition_id)
        await reached(followers[0], signed.commit_token)
        gate.set()
        await reading
        assert await counters.value(petition.petition_id) == 1


async def test_memory_stays_bounded_however_much_is_asked_for(petitions: Petitions, database_url: str) -> None:
    petition = await petitions.create()
    await petitions.signed_by(petition.petition_id, 3)
    async with aggregator(database_url, aggregator_max_entries=100) as counters:
        for start in range(0, 3000, 500):
            keys = [key(f"{petition.petition_id}/R{n}", BY_REGION) for n in range(start, start + 500)]
            results = await counters.batch(keys)
            assert all(result.count.source == count_pb2.SOURCE_PRIMARY for result in results)
        last = await counters.batch(keys)
        held = [result for result in last if result.count.source == count_pb2.SOURCE_CACHE]
        assert len(held) == 100


async def test_what_is_used_is_kept_while_what_is_not_is_forgotten(petitions: Petitions, database_url: str) -> None:
    petition = await petitions.create()
    async with aggregator(database_url, aggregator_max_entries=50) as counters:
        await counters.get(petition.petition_id)
        for n in range(300):
            await counters.get(f"{petition.petition_id}/R{n}", counter=BY_REGION)
            assert (await counters.get(petition.petition_id)).source == count_pb2.SOURCE_CACHE


async def test_without_the_database_what_is_held_is_served_with_its_age_and_then_heals(
    postgres_cluster: Cluster,
) -> None:
    async with (
        petition_service(postgres_cluster.url()) as petitions,
        aggregator(postgres_cluster.url()) as counters,
    ):
        held, not_held = [(await petitions.create()).petition_id for _ in range(2)]
        await petitions.signed_by(held, 3)
        await counters.get(held)
        await counters.top()
        await asyncio.to_thread(postgres_cluster.kill9)
        died = time.monotonic()

        async def is_old() -> bool:
            count = await counters.get(held)
            assert (count.value, count.source) == (3, count_pb2.SOURCE_CACHE)
            assert seconds(count.age) <= time.monotonic() - died + 2
            return seconds(count.age) > 1

        await becomes_true(is_old)
        assert await counters.value(held, at_most(3600)) == 3
        assert (await counters.top(1)) == [(held, 3)]
        assert (await refused(counters.get(not_held))).said == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        assert (await refused(counters.get(held, PRIMARY))).said == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        assert (await refused(counters.get(held, at_most(0.5)))).said == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        await asyncio.to_thread(postgres_cluster.start)

        async def signed() -> bool:
            try:
                return bool(await petitions.sign(held))
            except grpc.aio.AioRpcError:
                return False

        await becomes_true(signed)

        async def young_again() -> bool:
            count = await counters.get(held)
            return count.value == 4 and seconds(count.age) < 1

        await becomes_true(young_again)
        assert await counters.value(not_held) == 0


async def test_an_aggregator_that_starts_before_its_database_answers_once_it_is_there(
    postgres_cluster: Cluster,
) -> None:
    async with petition_service(postgres_cluster.url()) as petitions:
        petition = await petitions.create()
    await asyncio.to_thread(postgres_cluster.stop)
    async with aggregator(postgres_cluster.url()) as counters:
        answer = await refused(counters.get(petition.petition_id))
        assert answer.said == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        await asyncio.to_thread(postgres_cluster.start)
        await becomes_true(lambda: _answers(counters, petition.petition_id))


async def _answers(counters: Counters, resource_id: str) -> bool:
    try:
        return await counters.value(resource_id) == 0
    except grpc.aio.AioRpcError:
        return False


async def test_the_aggregator_can_read_counters_and_write_nothing(
    petitions: Petitions, database_url: str, db: Connection
) -> None:
    await petitions.create()
    tables = [
        row[0]
        for row in await db.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('petition', 'operations')"
        )
    ]
    connection = await asyncpg.connect(database_url, server_settings={"role": "tally_aggregator"})
    try:
        for table in tables:
            for forbidden in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(forbidden)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE petition.petition_submissions SET co_signer_count = 0")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM petition.co_signs")
        assert await connection.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 0
    finally:
        await connection.close()


async def reached(follower: Follower, token: str) -> None:
    """Returns when the stream has told of the commit; open transactions of other tests may hold it up for a while."""
    async with asyncio.timeout(30):
        while follower.watermark is None or follower.watermark.horizon <= int(token, 16):
            await follower.catch_up()
