"""What Postgres does for each statement by which reputation reads a stream of 200,000 events that hardly concern it."""

from collections.abc import Iterator

import psycopg
import pytest

from services.reputation.stream import store
from tests.data.plans import explained
from tests.postgres import scratch_database

RELEVANT = 2_000
EVENTS = """
INSERT INTO operations.events (xid, position, kind, aggregate_id, version, payload)
SELECT (1 + n / 10)::text::xid8, n % 10, CASE WHEN n % 100 = 0 THEN 'exchange.completed' ELSE 'petition.counted' END,
       md5(n::text), 1, '{}'
FROM generate_series(1, 200000) n
"""
CHECKPOINTS = """
INSERT INTO reputation.event_stream_checkpoints (consumer_group, stream_name, last_processed_id)
SELECT 'reputation', 'events-' || n, n * 1000 || '-2147483647' FROM generate_series(0, 7) n
"""
PAGE = 50

each_way = pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])


@pytest.fixture(scope="module")
def long_stream_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(EVENTS)
            connection.execute(CHECKPOINTS)
            connection.execute("VACUUM (ANALYZE) operations.events")
        yield url


@each_way
async def test_a_page_of_a_partition_reads_a_page(long_stream_url: str, generic: bool) -> None:
    for xid in ("0", "10000"):
        plan = await explained(long_stream_url, store.NEXT, 3, xid, 5, "4000000000", PAGE, generic=generic)
        plan.uses("events_of_reputation")
        assert plan.rows_read == PAGE
        assert not plan.rows_sorted


@each_way
async def test_a_look_reads_an_event_a_partition(long_stream_url: str, generic: bool) -> None:
    names = [store.stream_name(n) for n in store.PARTITIONS]
    plan = await explained(long_stream_url, store.LOOK, "reputation", list(range(8)), names, generic=generic)
    assert "events_of_reputation" in {name for _, name in plan.scans}
    of_events = [n for n in plan.nodes if n.get("Index Name") == "events_of_reputation"]
    assert sum(n["Actual Rows"] * n["Actual Loops"] for n in of_events) == 8
    assert plan.rows_sorted <= 8
