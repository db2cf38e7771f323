"""A long stream of events, consumers in processes that die, and what must hold afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg

from services.reputation.ledger.effects import EFFECTS
from tests.concurrency.service_process import ServiceProcess

# Of ten events, one is an exchange completed, which is in two ledgers; the others are ratings, holds that expired, passings.
TELL = """
INSERT INTO operations.events (position, kind, aggregate_id, version, payload)
SELECT n, CASE WHEN n %% 10 = 0 THEN 'exchange.completed'
               ELSE (ARRAY['exchange.rated', 'exchange.expired', 'petition.escalated'])[1 + n %% 3] END,
       gen_random_uuid(), 1,
       jsonb_build_object('giver_id', one, 'receiver_id', other, 'group_id', NULL, 'rated_id', one, 'rated_side',
                          CASE WHEN n %% 2 = 1 THEN 'giver' ELSE 'receiver' END, 'stars', 1 + n %% 5,
                          'submitter_id', one, 'threshold', 50)
FROM (
    SELECT n, md5((n * 7919 %% %(users)s)::text)::uuid AS one, md5(((n * 7919 + 1) %% %(users)s)::text)::uuid AS other
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
) e
"""
RECORDED = "SELECT coalesce(sum(event_count), 0) FROM reputation.user_global_reputation"
# Every event in the ledgers it concerns, each once, and nothing else in any.
NOT_ONCE = """
WITH due AS (
    SELECT xid || '-' || position AS stream_id, (payload->>who)::uuid AS user_id, event_type
    FROM operations.events JOIN (VALUES
        ('exchange.completed', 'giver_id', 'food_shared'), ('exchange.completed', 'receiver_id', 'food_claimed'),
        ('exchange.rated', 'rated_id', 'food_rated'), ('exchange.rated', 'rated_id', 'recipient_rated'),
        ('exchange.expired', 'receiver_id', 'claim_expired'), ('petition.escalated', 'submitter_id', 'petition_escalated')
    ) AS told(kind, who, event_type) USING (kind)
    WHERE kind <> 'exchange.rated' OR event_type = CASE payload->>'rated_side' WHEN 'giver' THEN 'food_rated'
                                                                               ELSE 'recipient_rated' END
), found AS (
    SELECT stream_id, user_id, event_type, count(*) AS times FROM reputation.reputation_events GROUP BY 1, 2, 3
)
SELECT * FROM due FULL JOIN found USING (stream_id, user_id, event_type)
WHERE times IS DISTINCT FROM 1 OR due.stream_id IS NULL
LIMIT 5
"""
# Replaying each ledger from 75.00 in order gives the scores it tells, and the score that is stored.
NOT_REPLAYED = """
WITH chain AS (
    SELECT user_id, sequence, previous_score, counted_impact, new_score,
           lag(new_score, 1, 75.00) OVER w AS before, row_number() OVER w AS place, last_value(new_score) OVER w AS last,
           count(*) OVER (PARTITION BY user_id) AS events
    FROM reputation.reputation_events
    WINDOW w AS (PARTITION BY user_id ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
SELECT c.*, r.overall_score FROM chain c JOIN reputation.user_global_reputation r USING (user_id)
WHERE previous_score <> before OR sequence <> place OR new_score <> least(greatest(before + counted_impact, 0), 99.99)
   OR last <> overall_score OR events <> event_count
LIMIT 5
"""
# What a day counts for is its sum within the cap, in whatever order its events came.
NOT_CAPPED = """
SELECT user_id, cap_day, event_type, sum(impact_score), sum(counted_impact)
FROM reputation.reputation_events
JOIN unnest(%(types)s::text[], %(lows)s::integer[], %(highs)s::integer[]) AS cap(event_type, low, high) USING (event_type)
GROUP BY user_id, cap_day, event_type, low, high
HAVING sum(counted_impact) <> least(greatest(sum(impact_score), low / 100.0), high / 100.0)
LIMIT 5
"""


class Stream:
    """A database whose stream is told of exchanges and petitions of so many users."""

    def __init__(self, db: psycopg.Connection, users: int) -> None:
        self._db = db
        self._users = users
        self._told = 0
        self.due = 0

    def tell(self, events: int) -> None:
        """In one transaction."""
        first, self._told = self._told, self._told + events
        self._db.execute(TELL, {"first": first, "last": self._told - 1, "users": self._users})
        self.due += events + sum(n % 10 == 0 for n in range(first, self._told))

    @property
    def recorded(self) -> int:
        """Events in ledgers by now."""
        return self._number(RECORDED)

    @property
    def lag_seconds(self) -> int:
        """The worst partition's, as its checkpoint says."""
        return self._number("SELECT max(lag_seconds) FROM reputation.event_stream_checkpoints")

    def _number(self, sql: LiteralString) -> int:
        (number,) = self._db.execute(sql).fetchone() or (0,)
        return int(number)

    def assert_exact(self) -> None:
        """Every effect once, every ledger replays to its score, every day within its cap."""
        caps = {
            "types": list(EFFECTS),
            "lows": [effect.low for effect in EFFECTS.values()],
            "highs": [effect.high for effect in EFFECTS.values()],
        }
        self._db.execute("SET work_mem = '256MB'")
        self._db.execute("ANALYZE reputation.reputation_events, operations.events")
        for statement, arguments in ((NOT_ONCE, None), (NOT_REPLAYED, None), (NOT_CAPPED, caps)):
            wrong = self._db.execute(statement, arguments).fetchall()
            assert not wrong, wrong


@contextmanager
def stream_of(url: str, users: int) -> Iterator[Stream]:
    with psycopg.connect(url, autocommit=True) as db:
        yield Stream(db, users)


@contextmanager
def consumers(url: str, folder: Path, count: int, **settings: str) -> Iterator[list[ServiceProcess]]:
    """Processes of the reputation service, which run."""
    processes = [ServiceProcess("reputation", url, folder / f"reputation-{n}.log", **settings) for n in range(count)]
    try:
        for process in processes:
            process.start(wait=False)
        for process in processes:
            process.wait_until_serving()
        yield processes
    finally:
        for process in processes:
            process.close()
