"""Aggregates keyed by a name, and counters of quantities and of what remains."""

import asyncio
import json
from functools import partial
from uuid import uuid4

import pytest

from libs.cli.verify import compare
from libs.data.catalog import COUNTERS
from libs.data.catalog.petition import PETITIONS
from libs.data.counters import CountedRows, Counter
from libs.data.database import Database
from libs.data.errors import Internal, NotFound
from libs.data.transaction import Transaction
from libs.data.verification import Verification, repair, survey, verify
from tests.data.rows import some_petitions, waiting_for_locks
from tests.shelves import (
    ODD_NAMES,
    REMAINING,
    SHELVES,
    SHOP_COUNTERS,
    TAKE,
    TAKEN,
    TAKINGS,
    TAKINGS_BY_REGION,
    counts,
    stock_shelves,
    take,
)
from tests.stored import Connection

HELD = "SELECT FROM shop.shelves WHERE name = $1 FOR UPDATE"


@pytest.fixture(autouse=True)
async def shop(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    await stock_shelves(db)
    for name, counter in SHOP_COUNTERS.items():
        monkeypatch.setitem(COUNTERS, name, counter)


async def differing(database: Database, counter: Counter, names: list[str] | None = None) -> dict[object, object]:
    found = await database.read(lambda snapshot: survey(snapshot, counter, names))
    return {key: (each.counter, each.counted) for key, each in found.discrepancies.items()}


async def test_names_are_locked_in_the_order_of_their_code_points_each_once(database: Database) -> None:
    async def work(tx: Transaction) -> list[str]:
        locked = await tx.lock(SHELVES, [*reversed(ODD_NAMES), *ODD_NAMES, "nobody"])
        assert "nobody" not in locked and "a/b/c" in locked
        return list(locked)

    assert (await database.write(work)).value == sorted(ODD_NAMES) == list(ODD_NAMES)


async def test_the_last_name_is_free_while_the_first_is_waited_for(database: Database, db: Connection) -> None:
    first, *_, last = ODD_NAMES
    async with db.transaction():
        await db.execute(HELD, first)
        waiting = asyncio.create_task(database.write(lambda tx: take(tx, [last, first])))
        await waiting_for_locks(database, 1)
        await db.execute(f"{HELD} NOWAIT", last)
    await waiting


async def test_takers_in_opposite_orders_never_deadlock(database: Database, db: Connection) -> None:
    names = list(ODD_NAMES)
    await asyncio.gather(*(database.write(partial(take, names=each)) for each in [names, names[::-1]] * 5))
    assert await db.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert {await counts(db, name) for name in names} == {(0, 10, 10, 10)}


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_event_names_the_aggregate_as_it_is_and_carries_its_values(
    database: Database, db: Connection, name: str
) -> None:
    await database.write(lambda tx: take(tx, [name], 3))
    event = await db.fetchrow("SELECT kind, aggregate_id, version, payload FROM operations.events")
    assert event is not None and tuple(event)[:3] == ("shelf.counted", name, 1)
    assert json.loads(event["payload"])["counters"] == {
        "shop.remaining": {name: 7},
        "shop.taken": {name: 3},
        "shop.takings": {name: 1},
        "shop.region_takings": {f"{name}/DE": 1},
    }


async def test_names_are_read_as_they_are_written_and_no_other_is_found(database: Database) -> None:
    await database.write(lambda tx: take(tx, ["a/b/c", "Äpfel"], 4))
    asked = [*ODD_NAMES, "ZEBRA", "äpfel", "A/B/C"]
    rows = await database.read(lambda snapshot: snapshot.fetch(REMAINING.read_sql, asked))
    expected = dict.fromkeys(ODD_NAMES, (10, 0)) | {"a/b/c": (6, 1), "Äpfel": (6, 1)}
    assert {row["name"]: (row["value"], row["version"]) for row in rows} == expected
    rows = await database.read(lambda snapshot: snapshot.fetch(TAKINGS_BY_REGION.read_sql, ["a/b/c"] * 2, ["DE", "FR"]))
    assert {tuple(row) for row in rows} == {("a/b/c", "DE", 1, 1), ("a/b/c", "FR", 0, 1)}


async def test_rows_of_named_aggregates_are_read_with_their_locks(database: Database) -> None:
    await database.write(lambda tx: take(tx, ["Zebra"], 2))
    sql = "SELECT shelf_name AS name, quantity FROM shop.takings WHERE shelf_name = ANY($1::text[])"

    async def work(tx: Transaction) -> tuple[list[str], list[tuple[object, ...]]]:
        locked, rows = await tx.lock_and_read(SHELVES, ["zebra", "Zebra"], sql, ["zebra", "Zebra"])
        return list(locked), rows

    assert (await database.write(work)).value == (["Zebra", "zebra"], [("Zebra", 2)])


async def test_a_sum_may_be_larger_than_an_integer(database: Database, db: Connection) -> None:
    most, whole = 2**31 - 1, 2**33
    await db.execute("UPDATE shop.shelves SET amount = $1, remaining_amount = $1", whole)

    async def work(tx: Transaction) -> None:
        await tx.lock(SHELVES, ["Zebra"])
        for quantity in (most, 5):
            await tx.execute(TAKE, "Zebra", quantity, "DE")
        tx.increment(REMAINING, {("Zebra",): -most - 5})
        tx.increment(TAKEN, {("Zebra",): most + 5})

    await database.write(work)
    for counter, value in ((REMAINING, whole - most - 5), (TAKEN, most + 5)):
        assert await database.read(partial(verify, counter=counter, key=("Zebra",))) == Verification(value, value)
        assert await differing(database, counter) == {}


async def test_quantities_are_added_up_and_taken_from_what_remains(database: Database, db: Connection) -> None:
    await database.write(lambda tx: take(tx, ["a/b/c"], 3))
    await db.execute(TAKE, "a/b/c", 2, "FR")
    await db.execute(TAKE, "a/b/c", None, "FR")
    await db.execute("INSERT INTO shop.takings VALUES ('a/b/c', 100, 'DE', true), ('A/b/c', 50, 'DE', true)")
    await db.execute("UPDATE shop.shelves SET restocked_amount = 1, remaining_amount = 8 WHERE name = 'a/b/c'")
    for counter, expected in (
        (REMAINING, Verification(8, 6)),
        (TAKEN, Verification(3, 5)),
        (TAKINGS, Verification(1, 3)),
    ):
        assert await database.read(partial(verify, counter=counter, key=("a/b/c",))) == expected
    for counter, expected in (
        (REMAINING, Verification(10, 10)),
        (TAKEN, Verification(0, 0)),
        (TAKINGS, Verification(0, 0)),
    ):
        assert await database.read(partial(verify, counter=counter, key=("A/b/c",))) == expected


@pytest.mark.parametrize("counter", SHOP_COUNTERS.values(), ids=lambda counter: counter.name)
async def test_an_aggregate_that_is_not_there_has_nothing_to_verify(database: Database, counter: Counter) -> None:
    key = ("nobody", "DE")[: len(counter.key_columns)]
    with pytest.raises(NotFound):
        await database.read(partial(verify, counter=counter, key=key))
    with pytest.raises(NotFound):
        await database.write(partial(repair, counter=counter, key=key))


async def test_a_survey_compares_the_whole_where_nothing_was_taken(database: Database, db: Connection) -> None:
    await database.write(lambda tx: take(tx, ["zebra"], 4))
    for counter in SHOP_COUNTERS.values():
        assert await differing(database, counter) == {}
    # 'Zebra' lost two units nobody took; somebody took one of 'a/b/c' that is on no shelf; 'zebra' was never taken from.
    await db.execute("UPDATE shop.shelves SET remaining_amount = 8, taken_amount = 2 WHERE name = 'Zebra'")
    await db.execute(TAKE, "nowhere", 1, "DE")
    await db.execute("DELETE FROM shop.takings WHERE shelf_name = 'zebra'")

    assert await differing(database, REMAINING) == {("Zebra",): (8, 10), ("nowhere",): (0, -1), ("zebra",): (6, 10)}
    assert await differing(database, TAKEN) == {("Zebra",): (2, 0), ("nowhere",): (0, 1), ("zebra",): (4, 0)}
    assert await differing(database, TAKINGS) == {("nowhere",): (0, 1), ("zebra",): (1, 0)}
    assert await differing(database, TAKINGS_BY_REGION) == {("nowhere", "DE"): (0, 1), ("zebra", "DE"): (1, 0)}
    assert await differing(database, REMAINING, ["Zebra", "Äpfel"]) == {("Zebra",): (8, 10)}
    found = await database.read(lambda snapshot: survey(snapshot, REMAINING, ["Zebra", "Äpfel"]))
    assert found.checked == 2


@pytest.mark.parametrize("name", ["a/b/c", "日本 / 🍎"])
async def test_counters_that_a_check_binds_to_each_other_are_repaired_together(
    database: Database, db: Connection, name: str
) -> None:
    await database.write(lambda tx: take(tx, [name], 3))
    await db.execute(TAKE, name, 2, "DE")

    found = await database.write(partial(repair, counter=REMAINING, key=(name,)))

    assert found.value == Verification(7, 5)
    assert await counts(db, name) == (5, 5, 2, 2)
    audit = await db.fetch(
        "SELECT counter, resource_id, counter_value, counted_value FROM operations.counter_repairs ORDER BY counter"
    )
    assert [tuple(row) for row in audit] == [
        ("shop.remaining", name, 7, 5),
        ("shop.taken", name, 3, 5),
        ("shop.takings", name, 1, 2),
    ]
    events = await db.fetch(
        "SELECT aggregate_id, version, payload FROM operations.events WHERE kind = 'shelf.counter_repaired'"
    )
    assert {(row["aggregate_id"], row["version"]) for row in events} == {(name, 2)}
    told = [json.loads(row["payload"]) for row in events]
    assert {(each["counter"], each["resource_id"], each["counted_value"]) for each in told} == {
        ("shop.remaining", name, 5),
        ("shop.taken", name, 5),
        ("shop.takings", name, 2),
    }
    news = await db.fetchval("SELECT payload FROM operations.events WHERE kind = 'shelf.counted' AND version = 2")
    assert json.loads(news)["counters"] == {
        "shop.remaining": {name: 5},
        "shop.taken": {name: 5},
        "shop.takings": {name: 2},
    }
    assert (await database.write(partial(repair, counter=REMAINING, key=(name,)))).value == Verification(5, 5)
    assert await db.fetchval("SELECT version FROM shop.shelves WHERE name = $1", name) == 2


async def test_a_breakdown_of_a_named_aggregate_goes_up_and_down_and_is_repaired(
    database: Database, db: Connection
) -> None:
    await database.write(lambda tx: take(tx, ["a/b/c", "A/b/c"], 1, "FR"))
    key = ("a/b/c", "FR")

    async def give_back(tx: Transaction) -> None:
        await tx.lock(SHELVES, ["a/b/c"])
        tx.increment(TAKINGS, {("a/b/c",): -1})
        tx.increment(TAKINGS_BY_REGION, {key: -1})

    await database.write(give_back)
    assert await differing(database, TAKINGS_BY_REGION) == {key: (0, 1)}
    assert (await database.write(partial(repair, counter=TAKINGS_BY_REGION, key=key))).value == Verification(0, 1)
    assert await differing(database, TAKINGS_BY_REGION) == {}
    assert await db.fetchval("SELECT resource_id FROM operations.counter_repairs") == "a/b/c/FR"
    assert await db.fetchval("SELECT version FROM shop.shelves WHERE name = 'a/b/c'") == 3


async def test_a_change_without_the_lock_of_that_very_name_is_a_defect(database: Database, db: Connection) -> None:
    async def work(tx: Transaction) -> None:
        await tx.lock(SHELVES, ["Zebra"])
        tx.increment(TAKINGS, {("zebra",): 1})

    with pytest.raises(Internal):
        await database.write(work)
    assert await counts(db, "zebra") == (10, 0, 0, 0)


async def test_the_command_takes_names_and_ids_and_repairs_both(
    database: Database, database_url: str, db: Connection
) -> None:
    right, wrong = await some_petitions(db, 2)
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 1 WHERE petition_id = $1", wrong)
    # A name that could be an id is a name where names are keys.
    named = "550E8400-E29B-41D4-A716-446655440000"
    for name in (named, "a/b/c"):
        await db.execute(TAKE, name, 2, None)
    asked = [str(right), str(wrong), named, "Zebra"]
    everywhere = ["petition.co_signers", "shop.remaining", "shop.taken"]

    report = await compare(database_url, asked, everywhere)
    assert {each.counter: each.checked for each in report.counters} == {
        "petition.co_signers": 2,
        "shop.remaining": 2,
        "shop.taken": 2,
    }
    differ = {each.counter: [found.resource_id for found in each.discrepancies] for each in report.counters}
    assert differ == {"petition.co_signers": [str(wrong)], "shop.remaining": [named], "shop.taken": [named]}

    only_names = await compare(database_url, ["Zebra"], everywhere)
    assert [each.checked for each in only_names.counters] == [0, 1, 1], "a name compared every petition"

    repaired = await compare(database_url, asked, everywhere, repair_found=True)
    assert all(found.repaired for each in repaired.counters for found in each.discrepancies)
    assert repaired.found == 3
    assert (await compare(database_url, asked, [])).found == 0
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs WHERE counter = 'shop.taken'") == 1
    left = await compare(database_url, None, ["shop.remaining"])
    assert [found.resource_id for found in left.counters[0].discrepancies] == ["a/b/c"], (
        "what nobody asked for was repaired"
    )


def test_what_remains_is_neither_broken_down_nor_less_than_nothing() -> None:
    counted = CountedRows("shop.takings", ("shelf_name", "region"))
    with pytest.raises(AssertionError):
        Counter("a.b", "", SHELVES, "n", counted, table="shop.t", breakdown=("region",), remains_of="amount")
    with pytest.raises(AssertionError):
        Counter("a.b", "", SHELVES, "n", remains_of="amount")


def test_an_event_names_an_aggregate_by_a_key_of_its_table() -> None:
    petition_id = uuid4()
    assert PETITIONS.parse_key(str(petition_id)) == petition_id
    assert SHELVES.parse_key(str(petition_id)) == str(petition_id)
