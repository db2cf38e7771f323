"""What breaks under a service: its Postgres, or the connections to it."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil
import psycopg

from libs.devstack import leftovers
from libs.devstack.postgres import Cluster
from tests.unit.devstack.waiting import wait_until

BACKENDS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tally'
ORDER BY state_change DESC
"""
IN_TRANSACTION = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tally' AND backend_xid IS NOT NULL
"""
WAITING = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tally' AND wait_event_type = 'Lock' LIMIT 1
"""
DATABASE_TROUBLE = {"DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"}


def kill_postmaster(cluster: Cluster) -> None:
    """`kill -9`, and a start that recovers."""
    cluster.kill9()
    cluster.start()


def kill_backend(database_url: str) -> None:
    """Postgres takes it for a crash, drops everybody and recovers."""
    with psycopg.connect(database_url) as connection:
        backend = connection.execute(BACKENDS).fetchone()
    assert backend is not None
    psutil.Process(backend[0]).kill()


def storm(cluster: Cluster, database_url: str, seconds: float, at_least: int, noticed: Callable[[], bool]) -> None:
    """Cuts every connection of the service every 50 ms, in the middle of whatever it does, for that long, and on until so
    many were cut and it was noticed."""
    terminated = 0
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        begun = time.monotonic()
        while time.monotonic() < begun + seconds or terminated < at_least or not noticed():
            assert time.monotonic() < begun + seconds + 30.0, f"{terminated} connections were cut, and nobody noticed"
            cut = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = %s AND application_name = 'tally'",
                [database_url.rpartition("/")[2]],
            ).fetchone()
            assert cut is not None
            terminated += cut[0]
            time.sleep(0.05)


def stand_still(cluster: Cluster, seconds: float) -> None:
    """All of Postgres is stopped, as by a disk that hangs."""
    with stopped(leftovers.postgres_processes(cluster.data)):
        time.sleep(seconds)


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """While open, they stand still."""
    try:
        for process in processes:
            process.suspend()
        wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in processes))
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def stall_a_writer(database_url: str, seconds: float, noticed: Callable[[], bool]) -> None:
    """One backend stands still in the middle of a transaction, as over a page that the disk does not bring, and keeps its
    locks, for that long and until it was noticed."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        give_up = time.monotonic() + 30.0
        while True:
            found = connection.execute(IN_TRANSACTION).fetchone()
            if found is not None:
                with stopped([psutil.Process(found[0])]):
                    if connection.execute(f"{IN_TRANSACTION} AND pid = %s", found).fetchone():
                        time.sleep(seconds)
                        wait_until(noticed)
                        return
            assert time.monotonic() < give_up, "nobody was ever seen in a transaction"


def cross_locks(database_url: str, lock: str, keys: Sequence[str], over: Callable[[], bool]) -> None:
    """Locks rows in the opposite order to the service, again and again, until it has met a deadlock and given way.

    Args:
        lock: SQL that locks the row of one key.
        keys: in the order in which the service locks them.
    """
    give_up = time.monotonic() + 30.0
    with psycopg.connect(database_url) as outsider:
        while not over():
            assert time.monotonic() < give_up, "no deadlock came about"
            # Whoever looks first is the one to give way, and that is to be the service.
            outsider.execute("SET LOCAL deadlock_timeout = '30s'")
            outsider.execute(lock.encode(), [keys[-1]])
            with psycopg.connect(database_url, autocommit=True) as watcher:
                wait_until(lambda: watcher.execute(WAITING).fetchone() is not None)
            for key in reversed(keys[:-1]):
                outsider.execute(lock.encode(), [key])
            outsider.rollback()
