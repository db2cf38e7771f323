"""The databases that the other tests are given."""

import subprocess

import psycopg

from libs.devstack.postgres import Cluster


def test_a_test_gets_an_empty_database_of_its_own(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE mine ()")


def test_what_another_test_made_is_not_there(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'mine'").fetchone()
    assert tables == (0,)


def test_a_cloned_database_is_migrated(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM operations.schema_revision").fetchone() == (1,)


def test_a_committed_row_survives_a_killed_postmaster(empty_postgres_cluster: Cluster) -> None:
    cluster = empty_postgres_cluster
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    cluster.kill9()
    assert not cluster.answers()
    cluster.start()
    with psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)


def test_a_lock_file_that_names_a_living_stranger_does_not_keep_postgres_from_starting(
    empty_postgres_cluster: Cluster,
) -> None:
    cluster = empty_postgres_cluster
    cluster.kill9()
    # The same user, alive, and not a Postgres: what a reused process id looks like.
    stranger = subprocess.Popen(["sleep", "60"], **cluster.account.spawn_as())
    try:
        lines = cluster.lock_file.read_text().splitlines()
        cluster.lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        cluster.start()
        assert cluster.answers()
    finally:
        stranger.kill()
        stranger.wait()
