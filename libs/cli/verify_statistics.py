"""What Postgres itself noticed while something ran."""

import psycopg
from pydantic import BaseModel


class Trouble(BaseModel):
    """Counted since the database was made."""

    deadlocks: int
    rolled_back: int


def trouble(url: str) -> Trouble:
    """What the database has counted so far; sessions report at most a second late while they work."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT deadlocks, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return Trouble(deadlocks=row[0], rolled_back=row[1])
