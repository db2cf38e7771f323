"""The background verification of whatever counters a service has."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from libs.data.catalog import CO_SIGNERS, ORDINALS
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.verifier import Verifier
from tests.data.databases import count_one
from tests.data.rows import some_petitions
from tests.shelves import REMAINING, TAKE, TAKEN, TAKINGS, TAKINGS_BY_REGION, stock_shelves, take
from tests.stored import Connection, event_kinds

NAME = "日本 / 'a'"


@pytest.fixture(autouse=True)
async def shop(db: Connection) -> None:
    await stock_shelves(db, [NAME, "Zebra"])


async def a_round(verifier: Verifier, db: Connection) -> list[tuple[str, str, str]]:
    """Severity, counter and resource of each discrepancy logged. Waits for every older transaction of the server, because
    readers of the event stream do."""
    settled = "SELECT coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM operations.events"
    async with asyncio.timeout(30):
        while not await db.fetchval(settled):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)
    with capture_logs() as logs:
        found = await verifier.round()
    said = [each for each in logs if each["event"] == "counter_discrepancy"]
    assert len(found) == len(said)
    return [(each["severity"], each["counter"], each["resource_id"]) for each in said]


async def told(db: Connection) -> list[tuple[str, str, int, int, int]]:
    rows = await db.fetch("SELECT * FROM operations.events WHERE kind LIKE '%.counter_discrepancy' ORDER BY xid")
    payloads = [json.loads(row["payload"]) for row in rows]
    assert all(payload["severity"] == "MEDIUM" and "counters" not in payload for payload in payloads)
    return [
        (row["aggregate_id"], payload["counter"], payload["counter_value"], payload["counted_value"], row["version"])
        for row, payload in zip(rows, payloads, strict=True)
    ]


async def test_each_counter_of_an_active_aggregate_is_verified_and_told_once(
    database: Database, db: Connection
) -> None:
    verifier = Verifier(database, (REMAINING, TAKEN, TAKINGS), 3600.0)
    assert await a_round(verifier, db) == []  # from here on it knows what is active
    await database.write(lambda tx: take(tx, [NAME, "Zebra"]))
    assert await a_round(verifier, db) == []

    await db.execute(TAKE, NAME, 0, "DE")  # a taking nobody counted, of nothing: one counter differs
    await database.write(lambda tx: take(tx, [NAME]))
    for _ in range(2):
        assert await a_round(verifier, db) == [("MEDIUM", "shop.takings", NAME)]
    await db.execute("UPDATE shop.takings SET quantity = 3 WHERE quantity = 0")
    await database.write(lambda tx: take(tx, [NAME]))
    found = await a_round(verifier, db)

    assert sorted(found) == [("MEDIUM", f"shop.{counter}", NAME) for counter in ("remaining", "taken", "takings")]
    assert sorted(await told(db)) == [
        (NAME, "shop.remaining", 7, 4, 3),
        (NAME, "shop.taken", 3, 6, 3),
        (NAME, "shop.takings", 2, 3, 2),
    ]
    assert "shelf.counter_discrepancy" in await event_kinds(db, NAME)


async def test_counters_of_another_service_are_not_verified(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    verifier = Verifier(database, (TAKINGS,), 3600.0)
    await a_round(verifier, db)
    await database.write(lambda tx: count_one(tx, petition_id))  # without a signature: it differs
    await db.execute(TAKE, NAME, 1, "DE")
    assert await a_round(verifier, db) == []

    both = Verifier(database, (TAKINGS, CO_SIGNERS), 3600.0)
    await a_round(both, db)
    await database.write(lambda tx: count_one(tx, petition_id))
    await database.write(lambda tx: take(tx, [NAME]))
    found = await a_round(both, db)
    assert sorted(found) == [("MEDIUM", "petition.co_signers", str(petition_id)), ("MEDIUM", "shop.takings", NAME)]


async def test_an_aggregate_that_is_gone_is_no_discrepancy_and_holds_nothing_up(
    database: Database, db: Connection
) -> None:
    verifier = Verifier(database, (TAKINGS,), 3600.0)
    await a_round(verifier, db)
    await database.write(lambda tx: take(tx, [NAME, "Zebra"]))
    await db.execute("DELETE FROM shop.shelves WHERE name = $1", NAME)
    await db.execute(TAKE, "Zebra", 1, "DE")
    assert await a_round(verifier, db) == [("MEDIUM", "shop.takings", "Zebra")]


@pytest.mark.parametrize("counter", [ORDINALS, TAKINGS_BY_REGION], ids=lambda counter: counter.name)
def test_a_counter_without_rows_of_its_own_cannot_be_verified_in_the_background(
    database: Database, counter: Counter
) -> None:
    with pytest.raises(AssertionError):
        Verifier(database, (TAKINGS, counter), 3600.0)
