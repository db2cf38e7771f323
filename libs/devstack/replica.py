"""A streaming replica of the embedded Postgres: a hot standby, disposable, made anew when it cannot follow any more."""

import shutil
from pathlib import Path

import psycopg

from libs.devstack.errors import DevstackError
from libs.devstack.postgres import HOST, SUPERUSER, Cluster


class Replica:
    """Replica `number` (from 1) of a running primary; `cluster` is its own data folder and postmaster.

    A replication slot keeps the primary from dropping what the replica has not read yet, up to `max_slot_wal_keep_size`.
    """

    def __init__(self, primary: Cluster, number: int, *, port: int, log: Path) -> None:
        self.primary = primary
        self.slot = f"replica_{number}"
        settings = {
            "cluster_name": f"tally-replica-{number}",
            "primary_conninfo": f"host={HOST} port={primary.port} user={SUPERUSER} application_name={self.slot}",
            "primary_slot_name": self.slot,
        }
        self.cluster = Cluster(
            primary.home,
            name=f"replica-{number}",
            port=port,
            log=log,
            account=primary.account,
            installation=primary.installation,
            settings=settings,
        )

    def prepare(self) -> None:
        """Copies the primary, unless there is a copy that can still follow; the primary must be running."""
        data = self.cluster.data
        if not (data.exists() and self._slot_is_good()):
            if data.exists():
                self.cluster.clear_leftovers()
                shutil.rmtree(data)
            self._copy_primary()
        self.cluster.initialise()

    def _slot_is_good(self) -> bool:
        """A primary that has the slot, with everything since, is the one this replica was copied from."""
        query = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
        with psycopg.connect(self.primary.url("postgres")) as connection:
            row = connection.execute(query, [self.slot]).fetchone()
        return row is not None and row[0] in ("reserved", "extended", "unreserved")

    def _copy_primary(self) -> None:
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as connection:
            drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
            connection.execute(drop, [self.slot])
        unfinished = self.cluster.data.with_name(f"{self.cluster.data.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        account = self.cluster.account
        account.make_folder(unfinished)
        source = ["--host", HOST, "--port", str(self.primary.port), "--username", SUPERUSER, "--no-password"]
        slot = ["--create-slot", "--slot", self.slot]
        self.cluster.run_program("pg_basebackup", *source, *slot, "--checkpoint", "fast", "--pgdata", str(unfinished))
        (unfinished / "standby.signal").touch(mode=0o600)
        account.give(unfinished / "standby.signal")
        unfinished.rename(self.cluster.data)

    def caught_up_to(self, position: str) -> bool:
        """Whether the replica has replayed the write-ahead log up to a position (`pg_current_wal_lsn()::text`)."""
        with psycopg.connect(self.cluster.url()) as connection:
            query = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn"
            row = connection.execute(query, [position]).fetchone()
        assert row is not None
        if not row[0]:
            raise DevstackError(f"the server on port {self.cluster.port} is no replica")
        return bool(row[1])
