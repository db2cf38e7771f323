"""Brings a database to a revision of the schema: `python -m libs.data.migrate [revision]`.

Works on an empty database and on any earlier revision holding rows. One migrator at a time: the others wait.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool

from libs.data.settings import DatabaseSettings

log = structlog.get_logger(__name__)

# Any number will do as long as nothing else in the database locks it.
MIGRATOR_LOCK = 0x7A11_0001
LOCK_POLL_SECONDS = 0.2


def expected_revision() -> str:
    """The newest revision this build knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def upgrade(url: str, revision: str = "head", *, lock_wait_seconds: float = 600.0) -> None:
    """Upgrades the database at `url`; does nothing where it is there already.

    Raises:
        TimeoutError: another migrator held the lock for longer than `lock_wait_seconds`.
    """
    with _only_migrator(url, lock_wait_seconds), _connection(url) as connection:
        before = _current(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        log.info("migrated", before=before, after=_current(connection))


def current_revision(url: str) -> str | None:
    """The revision the database at `url` is at, or None where nothing was ever migrated."""
    with _connection(url) as connection:
        return _current(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(
        connection, opts={"version_table_schema": "operations", "version_table": "schema_revision"}
    )
    revision = context.get_current_revision()
    connection.commit()
    return revision


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A waiting DDL statement blocks everybody behind it, so it gives up before it hurts; long work is allowed.
        connection.exec_driver_sql("SET lock_timeout = '10s'")
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS operations")
        connection.commit()
        yield connection
    engine.dispose()


@contextmanager
def _only_migrator(url: str, wait_seconds: float) -> Iterator[None]:
    """Holds the migrators' lock.

    Polls instead of waiting inside `pg_advisory_lock`: a waiting statement holds a snapshot, and CREATE INDEX
    CONCURRENTLY of the migrator that has the lock would wait for that snapshot to go away.
    """
    give_up = time.monotonic() + wait_seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while not _locked(connection):
            if time.monotonic() > give_up:
                raise TimeoutError("another migrator is at work on this database")
            time.sleep(LOCK_POLL_SECONDS)
        yield


def _locked(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (MIGRATOR_LOCK,)).fetchone()
    return bool(row and row[0])


def main() -> None:
    revision = sys.argv[1] if len(sys.argv) > 1 else "head"
    upgrade(DatabaseSettings().database_url, revision)


if __name__ == "__main__":
    main()
