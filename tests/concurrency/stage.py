"""A database, and the services on it."""

from dataclasses import dataclass

import psycopg

from tests.concurrency.service_process import ServiceProcess

# What a service logs when transactions got in each other's way, or worse.
TROUBLE = ("transaction_repeated", "database_error", "batch_split", "lane_failed", "commit_outcome_unknown")


@dataclass(frozen=True, slots=True)
class Stage:
    """A database and the services on it."""

    database_url: str
    services: list[ServiceProcess]

    @property
    def addresses(self) -> list[str]:
        return [service.address for service in self.services]

    def trouble(self) -> list[dict[str, object]]:
        """What the services logged of deadlocks, lock errors and the like, since they started."""
        return [entry for service in self.services for event in TROUBLE for entry in service.logged(event)]

    def deadlocks(self) -> int:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            row = connection.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert row is not None
        return int(row[0])
