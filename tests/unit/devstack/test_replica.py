"""The streaming replica."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from libs.devstack.postgres import Cluster, free_port
from libs.devstack.replica import Replica
from tests.unit.devstack.waiting import wait_until


@pytest.fixture
def replica(empty_postgres_cluster: Cluster, tmp_path: Path) -> Iterator[Replica]:
    replica = Replica(empty_postgres_cluster, 1, port=free_port(), log=tmp_path / "replica.log")
    try:
        replica.prepare()
        replica.cluster.start()
        yield replica
    finally:
        replica.cluster.destroy()


def write(primary: Cluster, statement: str) -> str:
    """Commits a statement and returns the position of the log after it."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute(statement.encode())
        row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


def rows(cluster: Cluster) -> list[tuple[int]]:
    with psycopg.connect(cluster.url()) as connection:
        return connection.execute("SELECT * FROM kept ORDER BY 1").fetchall()


def test_a_replica_follows_the_primary_and_cannot_be_written(replica: Replica) -> None:
    position = write(replica.primary, "CREATE TABLE kept AS SELECT 7 AS seven")
    wait_until(lambda: replica.caught_up_to(position))
    assert rows(replica.cluster) == [(7,)]
    with psycopg.connect(replica.cluster.url()) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("INSERT INTO kept VALUES (8)")


@pytest.mark.heavy
def test_a_replica_that_was_away_catches_up_without_being_copied_again(replica: Replica) -> None:
    write(replica.primary, "CREATE TABLE kept AS SELECT 7 AS seven")
    born = replica.cluster.data.stat().st_ino
    replica.cluster.kill9()
    position = write(replica.primary, "INSERT INTO kept VALUES (8)")
    replica.prepare()
    replica.cluster.start()
    wait_until(lambda: replica.caught_up_to(position))
    assert rows(replica.cluster) == [(7,), (8,)]
    assert replica.cluster.data.stat().st_ino == born


@pytest.mark.heavy
def test_a_replica_that_can_follow_no_more_is_copied_anew(replica: Replica) -> None:
    replica.cluster.stop()
    with psycopg.connect(replica.primary.url("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [replica.slot])
    position = write(replica.primary, "CREATE TABLE kept AS SELECT 9 AS nine")
    replica.prepare()
    replica.cluster.start()
    wait_until(lambda: replica.caught_up_to(position))
    assert rows(replica.cluster) == [(9,)]
