"""How many of a service's database connections are in use, watched from outside."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from libs.data.settings import DatabaseSettings
from tests.concurrency.service_process import ServiceProcess

CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tally' AND client_port = ANY(%s)
"""


@dataclass(slots=True)
class Pools:
    """The most connections that were seen open, and at work, at the same moment.

    Args:
        allowed: by the settings, of the pools for writing and for reading together.
    """

    allowed: int
    looks: int = 0
    most_open: int = 0
    most_in_use: int = 0

    def __str__(self) -> str:
        at_most = f"{self.most_in_use} connections in use at most, {self.most_open} open, {self.allowed} allowed"
        return f"{at_most}; {self.looks} looks"


@contextmanager
def watched_pools(service: ServiceProcess, database_url: str) -> Iterator[Pools]:
    """Looks without a pause until the end of the context, where the figures are complete."""
    settings = DatabaseSettings()
    pools = Pools(settings.write_pool_max + settings.read_pool_max)
    looking, over = threading.Event(), threading.Event()

    def watch() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.wait(0.01 if pools.looks else 0):
                found = connection.execute(CONNECTIONS, [service.ports()]).fetchone()
                assert found is not None
                pools.looks += 1
                pools.most_open, pools.most_in_use = max(pools.most_open, found[0]), max(pools.most_in_use, found[1])
                looking.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert looking.wait(30), "nobody looks at the pools"
        yield pools
    finally:
        over.set()
        watcher.join()
