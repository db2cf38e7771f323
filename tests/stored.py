"""What a database holds, for tests that say what a call stored or that it stored nothing."""

from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

if TYPE_CHECKING:  # generic in the stubs only
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname IN ('petition', 'voting', 'claims', 'reputation', 'operations')
  AND tablename NOT IN ('halt', 'schema_revision')
ORDER BY 1
"""


async def everything(db: Connection) -> dict[str, str]:
    """A fingerprint of each table's rows."""
    tables = [row[0] for row in await db.fetch(TABLES)]
    parts = [
        f"SELECT '{t}', md5(coalesce(string_agg(r::text, E'\\n' ORDER BY r::text), '')) FROM {t} r" for t in tables
    ]
    return {row[0]: row[1] for row in await db.fetch(" UNION ALL ".join(parts))}


async def counters_equal_rows(db: Connection) -> None:
    """Fails where a counter differs from what it counts, in total or by region."""
    wrong = await db.fetch("""
        SELECT p.petition_id, p.co_signer_count, c.n, r.n AS regions
        FROM petition.petition_submissions p,
             LATERAL (SELECT count(*) AS n, count(region_code) AS coded FROM petition.co_signs c
                      WHERE c.petition_id = p.petition_id) c,
             LATERAL (SELECT coalesce(sum(co_signer_count), 0) AS n FROM petition.region_counts r
                      WHERE r.petition_id = p.petition_id) r
        WHERE p.co_signer_count <> c.n OR r.n <> c.coded
           OR p.signature_rank <> operations.rank_of(p.co_signer_count)
    """)
    assert not wrong, wrong
    wrong = await db.fetch("""
        SELECT * FROM (SELECT petition_id, region_code, count(*) AS n FROM petition.co_signs
                       WHERE region_code IS NOT NULL GROUP BY 1, 2) rows
        FULL JOIN petition.region_counts USING (petition_id, region_code)
        WHERE coalesce(n, 0) <> coalesce(co_signer_count, 0)
    """)
    assert not wrong, wrong


async def halt(db: Connection) -> None:
    await db.execute("UPDATE operations.halt SET halted = true, reason = 'test', changed_time = now()")


async def resume(db: Connection) -> None:
    await db.execute("UPDATE operations.halt SET halted = false")


async def event_kinds(db: Connection, aggregate_id: str) -> list[str]:
    return [kind for kind, _ in await events_of(db, aggregate_id)]


async def events_of(db: Connection, aggregate_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Kinds and payloads of what the stream tells of an aggregate, in order."""
    rows = await db.fetch(
        "SELECT kind, payload::text FROM operations.events WHERE aggregate_id = $1 ORDER BY xid, position",
        aggregate_id,
    )
    return [(row["kind"], orjson.loads(row["payload"])) for row in rows]
