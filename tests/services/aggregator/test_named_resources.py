"""Counters of resources that have a name in place of an id: served like any other."""

from collections.abc import AsyncIterator, Sequence

import pytest
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from libs.data.catalog import COUNTERS
from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.data.verification import repair
from tests.eventually import becomes_true
from tests.servers import refusal, refused
from tests.services.aggregator.counting import PRIMARY, Counters, aggregator, at_least, key
from tests.services.aggregator.test_watch_counters import told, watch
from tests.shelves import ODD_NAMES, REMAINING, SHOP_COUNTERS, TAKE, stock_shelves, take
from tests.stored import Connection

LONGEST = "ü" * 300


class Shop:
    """Shelves of which things are taken."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, names: Sequence[str], quantity: int = 1) -> str:
        """Answers the commit's token."""
        token = (await self._database.write(lambda tx: take(tx, names, quantity))).token
        assert token is not None
        return token

    async def repair(self, name: str) -> None:
        await self._database.write(lambda tx: repair(tx, REMAINING, (name,)))


@pytest.fixture
async def shop(database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    await stock_shelves(db, [*ODD_NAMES, LONGEST])
    for name, counter in SHOP_COUNTERS.items():
        monkeypatch.setitem(COUNTERS, name, counter)
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        yield Shop(database)


@pytest.fixture
async def counters(shop: Shop, database_url: str) -> AsyncIterator[Counters]:
    async with aggregator(database_url) as service:
        yield service


@pytest.mark.parametrize("name", [*ODD_NAMES, LONGEST])
async def test_a_name_is_taken_as_it_is_by_the_database_and_by_memory(
    shop: Shop, counters: Counters, name: str
) -> None:
    token = await shop.take([name], 3)
    for consistency in (None, PRIMARY, at_least(token), None):
        request = messages.GetCounterRequest(key=key(name, "shop.remaining"), consistency=consistency)
        answer = await counters.stub.GetCounter(request)
        assert (answer.key.resource_id, answer.count.value) == (name, 7)
    assert answer.count.source == count_pb2.SOURCE_CACHE
    await shop.take([name], 2)
    await becomes_true(lambda: _is(counters, name, 5))


async def _is(counters: Counters, name: str, value: int) -> bool:
    count = await counters.get(name, counter="shop.remaining")
    assert count.source == count_pb2.SOURCE_CACHE
    return count.value == value


async def test_capitals_make_another_name(shop: Shop, counters: Counters) -> None:
    await shop.take(["Zebra"], 3)
    for _ in range(2):
        assert await counters.value("Zebra", counter="shop.remaining") == 7
        assert await counters.value("zebra", counter="shop.remaining") == 10
        answer = await refused(counters.get("ZEBRA", counter="shop.remaining"))
        assert answer.said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert (await refused(counters.get(ODD_NAMES[2].lower(), counter="shop.remaining"))).reason == "RESOURCE_NOT_FOUND"


async def test_what_breaks_a_name_down_is_what_follows_its_last_slash(shop: Shop, counters: Counters) -> None:
    token = at_least(await shop.take(["a/b/c", "日本 / 🍎"]))
    for resource_id, value in (("a/b/c/DE", 1), ("日本 / 🍎/DE", 1), ("a/b/c/FR", 0), ("A/b/c/DE", 0)):
        assert await counters.value(resource_id, token, "shop.region_takings") == value
        assert await counters.value(resource_id, counter="shop.region_takings") == value
    for resource_id in ("zebra", "zebra/", "/DE"):
        answer = await refused(counters.get(resource_id, counter="shop.region_takings"))
        assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert (await refused(counters.get("a/b/DE", counter="shop.region_takings"))).reason == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("name", ["a\nb", "\x00", "a\x1f", "\x7f", "tab\t"])
async def test_a_name_with_control_characters_is_refused_by_its_field(counters: Counters, name: str) -> None:
    answer = await refused(counters.get(name, counter="shop.remaining"))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == ["key.resource_id"]
    assert "must be a name of 1 to 300 characters" in answer.message
    (result,) = await counters.batch([key(name, "shop.remaining")])
    assert refusal(result.error).fields == ["keys[0].resource_id"]


async def test_names_and_ids_share_a_batch(shop: Shop, counters: Counters) -> None:
    await shop.take(["Zebra"], 3)
    keys = [key("Zebra", "shop.remaining"), key("Zebra"), key("zebra", "shop.taken"), key("ZEBRA", "shop.taken")]
    keys += [key(name, "shop.takings") for name in ODD_NAMES]
    for consistency in (None, None, PRIMARY):
        results = await counters.batch(keys, consistency)
        values = [result.count.value if result.HasField("count") else None for result in results]
        assert values == [7, None, 0, None, *(int(name == "Zebra") for name in ODD_NAMES)]
    held = [each for each, value in zip(keys, values, strict=True) if value is not None]
    for _ in range(2):
        sources = {result.count.source for result in await counters.batch(held)}
        assert sources == {count_pb2.SOURCE_CACHE}


async def test_watchers_are_told_of_names_and_of_repairs(shop: Shop, counters: Counters, db: Connection) -> None:
    changes = watch(counters, "a/b/c", "Äpfel", counter="shop.remaining", interval=0)
    assert await told(changes) == {"a/b/c": 10, "Äpfel": 10}
    await shop.take(["Äpfel"], 4)
    assert await told(changes) == {"Äpfel": 6}
    await db.execute(TAKE, "a/b/c", 2, "DE")
    await shop.repair("a/b/c")
    assert await told(changes) == {"a/b/c": 8}


async def test_names_are_ranked_where_there_is_a_ranking(shop: Shop, counters: Counters, db: Connection) -> None:
    await shop.take(["zebra", "Äpfel", "a/b/c"])
    await shop.take(["Äpfel"])
    truth = "SELECT name, taking_count FROM shop.shelves ORDER BY taking_count DESC, name DESC"
    ranked = [tuple(row) for row in await db.fetch(truth)]
    assert ranked[:3] == [("Äpfel", 2), ("zebra", 1), ("a/b/c", 1)]
    assert await counters.top(50, "shop.takings") == ranked

    await shop.take(["日本 / 🍎", "Zebra"])
    await shop.take(["日本 / 🍎"])
    ranked = [tuple(row) for row in await db.fetch(truth)]

    async def follows() -> bool:
        return await counters.top(50, "shop.takings") == ranked

    await becomes_true(follows)
    answer = await refused(counters.top(counter="shop.remaining"))
    assert answer.fields == ["counter"]


async def test_a_newcomer_to_a_ranking_is_looked_up_by_its_name(shop: Shop, counters: Counters, db: Connection) -> None:
    await counters.top(50, "shop.takings")
    await db.execute("INSERT INTO shop.shelves (name, amount, remaining_amount) VALUES ('it''s / new', 10, 10)")
    await shop.take(["it's / new"])

    async def there() -> bool:
        return (await counters.top(1, "shop.takings")) == [("it's / new", 1)]

    await becomes_true(there)


async def test_named_counters_say_what_their_resources_are(counters: Counters) -> None:
    answer = await counters.stub.ListCounters(messages.ListCountersRequest())
    said = {each.name: each.resource for each in answer.counters}
    assert (said["shop.remaining"], said["shop.region_takings"]) == ("name", "name/region")
