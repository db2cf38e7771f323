"""Users and their ledgers for a benchmark: Tally's and the textbook's, and whether each event is there once."""

from typing import Any
from uuid import uuid4

import psycopg

USERS, SOME = 1_000_000, 20_000

TEXTBOOK_LEDGERS = """
CREATE TABLE textbook.scores (
    user_id     uuid         PRIMARY KEY,
    score       decimal(4,2) NOT NULL DEFAULT 75.00,
    event_count integer      NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE TABLE textbook.ledger (
    user_id    uuid         NOT NULL REFERENCES textbook.scores,
    sequence   integer      NOT NULL,
    impact     decimal(5,2) NOT NULL,
    before     decimal(4,2) NOT NULL,
    after      decimal(4,2) NOT NULL,
    request_id uuid         NOT NULL,
    event_time timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, sequence)
);
"""
NEW_USERS = """
WITH new AS (INSERT INTO reputation.users (id) SELECT gen_random_uuid() FROM generate_series(1, %s) RETURNING id)
INSERT INTO reputation.user_global_reputation (user_id, overall_score, peak_reputation)
SELECT id, 60 + (random() * 30)::numeric(4,2), 95 FROM new RETURNING user_id::text
"""
THERE = "SELECT count(*) FROM (SELECT FROM reputation.users LIMIT %s) there"
SOME_USERS = "SELECT user_id::text FROM reputation.user_global_reputation TABLESAMPLE SYSTEM (20) LIMIT %s"
NEW_TEXTBOOK = "INSERT INTO textbook.scores (user_id) VALUES (%s)"
WRITTEN = """
SELECT event_count, (SELECT count(*) FROM reputation.reputation_events e WHERE e.user_id = r.user_id),
       (SELECT coalesce(max(sequence), 0) FROM reputation.reputation_events e WHERE e.user_id = r.user_id)
FROM reputation.user_global_reputation r WHERE user_id = %s
"""
TEXTBOOK_WRITTEN = """
SELECT event_count, (SELECT count(*) FROM textbook.ledger l WHERE l.user_id = s.user_id)
FROM textbook.scores s WHERE user_id = %s
"""


class Ledgers:
    """Those of a database."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def users(self) -> list[str]:
        """Some of a million users, who are made when first asked for."""
        if self._one(THERE, USERS)[0] < USERS:
            self._connection.execute(NEW_USERS, [USERS])
            self._connection.execute("VACUUM (ANALYZE) reputation.users, reputation.user_global_reputation")
            self._connection.execute("CHECKPOINT")
        return [row[0] for row in self._connection.execute(SOME_USERS, [SOME])]

    def new(self) -> str:
        return str(self._connection.execute(NEW_USERS, [1]).fetchall()[0][0])

    def textbook(self) -> str:
        user_id = str(uuid4())
        self._connection.execute(NEW_TEXTBOOK, [user_id])
        return user_id

    def written(self, user_id: str) -> tuple[int, ...]:
        """How many events a user's ledger has, by its counter, its rows and their numbers: three times the same."""
        return self._one(WRITTEN, user_id)

    def textbook_written(self, user_id: str) -> tuple[int, ...]:
        return self._one(TEXTBOOK_WRITTEN, user_id)

    def _one(self, statement: str, argument: Any) -> tuple[int, ...]:
        row: Any = self._connection.execute(statement.encode(), [argument]).fetchone()
        return tuple(row)
