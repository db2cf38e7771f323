"""Counters that are found to differ from their rows are told once, and left as they are."""

import json

import pytest
from structlog.testing import capture_logs

from libs.data.catalog.petition import ORDINALS
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.discrepancies import report
from libs.data.verification import DISCREPANCIES, repair
from tests.shelves import REMAINING, TAKE, TAKEN, TAKINGS, TAKINGS_BY_REGION, stock_shelves, take
from tests.stored import Connection, everything, halt, resume

NAME = "日本 / 'a'"
COUNTERS = (REMAINING, TAKEN, TAKINGS, TAKINGS_BY_REGION)
KNOWN = """
SELECT counter, resource_id, counter_value, counted_value FROM operations.counter_discrepancies ORDER BY 1, 2
"""


@pytest.fixture(autouse=True)
async def shop(db: Connection) -> None:
    await stock_shelves(db, [NAME, "Zebra"])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The counter of each discrepancy that the metric counts."""
    counted: list[str] = []

    def add(n: int, of: dict[str, str]) -> None:
        assert (n, of["severity"]) == (1, "MEDIUM")
        counted.append(of["counter"])

    monkeypatch.setattr(DISCREPANCIES, "add", add)
    return counted


async def reported(
    database: Database, *names: str, counters: tuple[Counter, ...] = COUNTERS
) -> list[tuple[str, str, str]]:
    """Severity, counter and resource of each discrepancy logged."""
    with capture_logs() as logs:
        found = await report(database, counters, names or (NAME, "Zebra"))
    said = [each for each in logs if each["event"] == "counter_discrepancy"]
    assert len(found) == len(said) and not [drift for drift in found if drift.repaired]
    return sorted((each["severity"], each["counter"], each["resource_id"]) for each in said)


async def told(db: Connection) -> list[tuple[str, str, int, int, int]]:
    rows = await db.fetch("SELECT * FROM operations.events WHERE kind = 'shelf.counter_discrepancy' ORDER BY xid")
    payloads = [json.loads(row["payload"]) for row in rows]
    assert all(payload["severity"] == "MEDIUM" and "counters" not in payload for payload in payloads)
    return [
        (payload["resource_id"], payload["counter"], payload["counter_value"], payload["counted_value"], row["version"])
        for row, payload in zip(rows, payloads, strict=True)
    ]


async def known(db: Connection) -> list[tuple[str, str, int, int]]:
    return [tuple(row) for row in await db.fetch(KNOWN)]


async def test_each_discrepancy_is_logged_each_time_and_told_counted_and_kept_once(
    database: Database, db: Connection, counted: list[str]
) -> None:
    await database.write(lambda tx: take(tx, [NAME, "Zebra"]))
    await db.execute(TAKE, NAME, 0, "DE")  # a taking nobody counted, of nothing: the numbers of takings differ
    differing = [("shop.region_takings", f"{NAME}/DE", 1, 2), ("shop.takings", NAME, 1, 2)]
    for _ in range(3):
        wanted = [("MEDIUM", counter, resource) for counter, resource, *_ in differing]
        assert await reported(database) == wanted
        assert sorted(counted) == [counter for counter, *_ in differing]
        assert await known(db) == differing
        assert sorted(await told(db)) == sorted((resource, counter, a, b, 1) for counter, resource, a, b in differing)
    taken = await db.fetchval("SELECT taking_count FROM shop.shelves WHERE name = $1", NAME)
    assert taken == 1, "the counter was changed"


async def test_what_begins_to_differ_beside_what_is_known_is_told_by_itself(
    database: Database, db: Connection, counted: list[str]
) -> None:
    await db.execute(TAKE, NAME, 0, None)
    await reported(database)
    await db.execute("UPDATE shop.takings SET quantity = 3")
    assert len(await reported(database)) == 3
    assert sorted(counted) == ["shop.remaining", "shop.taken", "shop.takings"]
    assert [row[0] for row in await known(db)] == sorted(counted)


async def test_what_no_longer_differs_is_forgotten_and_told_again_when_it_comes_back(
    database: Database, db: Connection, counted: list[str]
) -> None:
    for n in range(1, 3):
        await db.execute(TAKE, NAME, 0, None)
        assert len(await reported(database)) == 1
        assert counted == ["shop.takings"] * n
        await db.execute("DELETE FROM shop.takings")
        assert await reported(database) == []
        assert await known(db) == []
    assert len(await told(db)) == 2


async def test_a_repair_forgets_what_it_sets_right_and_nothing_else(database: Database, db: Connection) -> None:
    for name in (NAME, "Zebra"):
        await db.execute(TAKE, name, 0, None)
    await reported(database)
    await database.write(lambda tx: repair(tx, TAKINGS, (NAME,)))
    assert await known(db) == [("shop.takings", "Zebra", 0, 1)]
    assert await reported(database) == [("MEDIUM", "shop.takings", "Zebra")]


async def test_where_nothing_changed_nothing_is_locked_or_written(database: Database, db: Connection) -> None:
    await db.execute(TAKE, NAME, 0, None)
    await reported(database)
    before = await everything(db)
    async with db.transaction():
        await db.execute("LOCK shop.shelves, operations.counter_discrepancies IN EXCLUSIVE MODE")
        assert len(await reported(database)) == 1
    assert await everything(db) == before


async def test_only_the_counters_and_aggregates_that_are_asked_for_are_compared(
    database: Database, db: Connection
) -> None:
    for name in (NAME, "Zebra"):
        await db.execute(TAKE, name, 1, None)
    assert await reported(database, "Zebra", counters=(TAKEN,)) == [("MEDIUM", "shop.taken", "Zebra")]
    assert await known(db) == [("shop.taken", "Zebra", 0, 1)]
    assert await reported(database, "no such shelf") == []


async def test_an_aggregate_that_is_gone_is_no_discrepancy_and_holds_nothing_up(
    database: Database, db: Connection
) -> None:
    for name in (NAME, "Zebra"):
        await db.execute(TAKE, name, 0, None)
    await db.execute("DELETE FROM shop.shelves WHERE name = $1", NAME)
    assert await reported(database) == [("MEDIUM", "shop.takings", "Zebra")]
    assert await known(db) == [("shop.takings", "Zebra", 0, 1)]


async def test_what_is_found_while_writes_are_halted_is_told_after_the_resume(
    database: Database, db: Connection, counted: list[str]
) -> None:
    await db.execute(TAKE, NAME, 0, None)
    await halt(db)
    assert await reported(database) == []
    assert not counted and await known(db) == [] and await told(db) == []
    await resume(db)
    assert len(await reported(database)) == len(counted) == len(await told(db)) == 1


async def test_a_counter_without_rows_of_its_own_cannot_be_compared(database: Database) -> None:
    with pytest.raises(AssertionError):
        await report(database, (ORDINALS,), [])
