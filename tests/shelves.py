"""A shop of a test's own: shelves, keyed by their name, with counters of every kind. No service has tables like these."""

from collections.abc import Sequence

import asyncpg

from libs.data.counters import CountedRows, Counter
from libs.data.tables import Table
from libs.data.transaction import Transaction
from tests.stored import Connection

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.shelves (
    name             text COLLATE "C" PRIMARY KEY,
    amount           bigint  NOT NULL,
    restocked_amount bigint  NOT NULL DEFAULT 0,
    remaining_amount bigint  NOT NULL CHECK (remaining_amount >= 0),
    taken_amount     bigint  NOT NULL DEFAULT 0,
    taking_count     integer NOT NULL DEFAULT 0,
    taking_rank      integer NOT NULL DEFAULT 0,
    version          bigint  NOT NULL DEFAULT 0,
    CHECK (remaining_amount + taken_amount = amount + restocked_amount)
);
CREATE TABLE shop.takings (shelf_name text COLLATE "C" NOT NULL, quantity integer, region text, void boolean DEFAULT false);
CREATE TABLE shop.region_counts (
    name text COLLATE "C", region text, taking_count integer NOT NULL CHECK (taking_count >= 0), PRIMARY KEY (name, region)
);
GRANT USAGE ON SCHEMA shop TO tally_aggregator;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO tally_aggregator;
"""

SHELVES = Table(
    name="shop.shelves",
    key="name",
    key_type="text",
    locked_columns=("remaining_amount", "taken_amount", "taking_count"),
    aggregate="shelf",
)
_QUANTITIES = CountedRows("shop.takings", ("shelf_name",), where="NOT void", quantity="quantity")

REMAINING = Counter(
    name="shop.remaining",
    description="What is left on a shelf.",
    aggregate=SHELVES,
    column="remaining_amount",
    counts=_QUANTITIES,
    remains_of="amount + restocked_amount",
)
TAKEN = Counter(
    name="shop.taken",
    description="What was taken from a shelf.",
    aggregate=SHELVES,
    column="taken_amount",
    counts=_QUANTITIES,
)
TAKINGS = Counter(
    name="shop.takings",
    description="How often something was taken from a shelf.",
    aggregate=SHELVES,
    column="taking_count",
    counts=CountedRows("shop.takings", ("shelf_name",), where="NOT void"),
    rank_column="taking_rank",
)
TAKINGS_BY_REGION = Counter(
    name="shop.region_takings",
    description="How often somebody of a region took something from a shelf.",
    aggregate=SHELVES,
    table="shop.region_counts",
    breakdown=("region",),
    column="taking_count",
    counts=CountedRows("shop.takings", ("shelf_name", "region"), where="NOT void"),
)
SHOP_COUNTERS = {counter.name: counter for counter in (REMAINING, TAKEN, TAKINGS, TAKINGS_BY_REGION)}

# In the order of their code points, which is not that of any language.
ODD_NAMES = (
    "  'quoted' and \"quoted\"",
    "$1; DROP TABLE shop.shelves; --",
    "550E8400-E29B-41D4-A716-446655440000",
    "A/b/c",
    "NULL",
    "Zebra",
    "a/b/c",
    "a{b},\\c%",
    "zebra",
    "Äpfel",
    "日本 / 🍎",
)

TAKE = "INSERT INTO shop.takings (shelf_name, quantity, region) VALUES ($1, $2, $3)"


async def stock_shelves(db: Connection, names: Sequence[str] = ODD_NAMES, amount: int = 10) -> None:
    """Makes the shop, with the same amount on every shelf; the rows lie in another order than that of their names."""
    await db.execute(SCHEMA)
    await db.executemany(
        "INSERT INTO shop.shelves (name, amount, remaining_amount) VALUES ($1, $2, $2)",
        [(name, amount) for name in reversed(names)],
    )


async def take(tx: Transaction, names: Sequence[str], quantity: int = 1, region: str = "DE") -> None:
    """Takes so much from each shelf, as a service would."""
    await tx.lock(SHELVES, names)
    for name in names:
        await tx.execute(TAKE, name, quantity, region)
    tx.increment(REMAINING, {(name,): -quantity for name in names})
    tx.increment(TAKEN, {(name,): quantity for name in names})
    tx.increment(TAKINGS, {(name,): 1 for name in names})
    tx.increment(TAKINGS_BY_REGION, {(name, region): 1 for name in names})


async def counts(db: Connection, name: str) -> tuple[int, int, int, int]:
    """Remaining, taken, takings and their rank, as stored."""
    row: asyncpg.Record | None = await db.fetchrow(
        "SELECT remaining_amount, taken_amount, taking_count, taking_rank FROM shop.shelves WHERE name = $1", name
    )
    assert row is not None
    return row[0], row[1], row[2], row[3]
