"""One embedded PostgreSQL cluster: made, started, stopped and killed.

`Cluster` is synchronous and starts the postmaster as a direct child. The supervisor uses the same command and options
to start it as a child of its own.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from libs.devstack import leftovers, postgres_conf
from libs.devstack.account import Account
from libs.devstack.errors import DevstackError, log_tail
from libs.devstack.installation import Installation
from libs.devstack.placement import fallback_home, postgres_home
from libs.devstack.spawn import die_with_parent

HOST = "127.0.0.1"
SUPERUSER = "postgres"
DATABASE = "tally"
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A data folder and the postmaster that serves it on a loopback port.

    Args:
        home: a folder of ours that the account can get into; the data folder stands in it.
        name: of the data folder in the home ("primary").
        port: loopback TCP port.
        log: where the postmaster writes; opened by us, so the account needs no right to it.
        settings: overrides of `postgres_conf`, such as `{"fsync": "off"}` for throw-away clusters.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int,
        log: Path,
        name: str = "primary",
        account: Account | None = None,
        installation: Installation | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.data = home / name
        self.port = port
        self.log = log
        self.account = account or Account.for_postgres()
        self.installation = (installation or Installation.find()).usable_by(self.account, home)
        self.settings = {**postgres_conf.DURABLE, **postgres_conf.TUNED, **(settings or {})}
        self._postmaster: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_state_folder(
        cls,
        state: Path,
        *,
        port: int,
        log: Path | None = None,
        installation: Installation | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> "Cluster":
        """The cluster of a state folder, which is made if need be; see `placement` for where its files go."""
        account = Account.for_postgres()
        home = postgres_home(state, account)
        log = log or state / "postgres.log"
        return cls(home, port=port, log=log, account=account, installation=installation, settings=settings)

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{SUPERUSER}@{HOST}:{self.port}/{database}"

    # -- the data folder

    def initialise(self) -> bool:
        """Makes the data folder if there is none (all or nothing) and writes the settings; True if it was made."""
        made = not (self.data / "PG_VERSION").exists()
        if made:
            self._initdb()
        self._check_owner()
        self._write("postgresql.conf", postgres_conf.render(self.settings))
        self._write("pg_hba.conf", postgres_conf.HOST_RULES)
        return made

    def _initdb(self) -> None:
        if self.data.exists():
            raise DevstackError(f"{self.data} exists but is no Postgres data folder: move it away")
        unfinished = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        self.account.make_folder(unfinished)
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--data-checksums"]
        # Sorting by code point, whatever the machine's locale: the same order everywhere, and faster.
        options += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        if self.settings["fsync"] == "off":
            options.append("--no-sync")
        self.run_program("initdb", *options, "--pgdata", str(unfinished))
        unfinished.rename(self.data)

    def _check_owner(self) -> None:
        owner = self.data.stat().st_uid
        if owner != self.account.uid:
            raise DevstackError(
                f"{self.data} belongs to uid {owner}, but Postgres would run as uid {self.account.uid}: "
                "run as the user who made it, or set TALLY_STATE_DIR"
            )

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        new = path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o600)
        self.account.give(new)
        new.replace(path)

    def run_program(self, name: str, *arguments: str) -> str:
        """Runs one of PostgreSQL's programs as the account and returns what it printed; raises with its complaint."""
        command = [str(self.installation.program(name)), *arguments]
        done = subprocess.run(
            command, cwd="/", env=self.environment(), capture_output=True, check=False, **self.account.spawn_as()
        )
        if done.returncode != 0:
            complaint = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise DevstackError(f"{name} failed with exit status {done.returncode}:\n{complaint}")
        return done.stdout.decode(errors="replace")

    # -- the postmaster

    def command(self) -> list[str]:
        return [str(self.installation.program("postgres")), "-D", str(self.data), "-p", str(self.port)]

    @staticmethod
    def environment() -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    def spawn_options(self) -> dict[str, Any]:
        """Options to start `command()` with: the account, no terminal, and an end when the parent ends."""
        return {
            **self.account.spawn_as(),
            "cwd": "/",
            "env": self.environment(),
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "preexec_fn": die_with_parent(signal.SIGQUIT),
        }

    @property
    def lock_file(self) -> Path:
        return self.data / "postmaster.pid"

    def clear_leftovers(self) -> None:
        """Ends what still runs on the data folder, and removes a lock file that would keep Postgres from starting.

        Postgres takes a stale lock file for a live one when a process of the same user has its process id by now, as
        after a reboot. Otherwise the file stays: by it Postgres finds the shared memory of its killed predecessor.
        """
        leftovers.stop_postgres(self.data)
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            if psutil.pid_exists(int(self.lock_file.read_text().splitlines()[0])):
                self.lock_file.unlink()

    def start(self, timeout: float = 60.0) -> None:
        """Starts the postmaster and waits until it answers and has the database `tally`.

        It ends when the calling thread ends (see `die_with_parent`). Raises DevstackError with the log's end.
        """
        self.initialise()
        self.clear_leftovers()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._postmaster = subprocess.Popen(self.command(), stdout=log, stderr=log, **self.spawn_options())
        deadline = time.monotonic() + timeout
        while not self.answers():
            if self._postmaster.poll() is not None or time.monotonic() > deadline:
                self.stop("immediate")
                raise DevstackError(f"Postgres on port {self.port} did not start; its log ends:\n{log_tail(self.log)}")
            time.sleep(0.05)
        self.ensure_database()

    def answers(self) -> bool:
        """Whether it takes connections and queries right now."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def ensure_database(self, name: str = DATABASE) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, if we started it and it lives."""
        if self._postmaster is None or self._postmaster.poll() is not None:
            return None
        return self._postmaster.pid

    def stop(self, mode: str = "fast", timeout: float = 30.0) -> None:
        """Stops it ("smart", "fast" or "immediate", as PostgreSQL names them); kills it after the timeout."""
        postmaster, self._postmaster = self._postmaster, None
        if postmaster is None:
            return
        with contextlib.suppress(ProcessLookupError):
            postmaster.send_signal(STOP_SIGNALS[mode])
        try:
            postmaster.wait(timeout)
        except subprocess.TimeoutExpired:
            postmaster.kill()
            postmaster.wait()

    def kill9(self) -> None:
        """Kills the postmaster without a warning, as a power cut would; its backends end by themselves soon after."""
        postmaster, self._postmaster = self._postmaster, None
        if postmaster is not None:
            postmaster.kill()
            postmaster.wait()

    def destroy(self) -> None:
        """Stops it at once and deletes its data; for throw-away clusters."""
        self.stop("immediate")
        if self.lock_file.exists():  # it was killed: only its next start frees its shared memory
            with contextlib.suppress(DevstackError):
                self.start()
            self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)


def remove_home(state: Path) -> None:
    """Deletes everything the embedded Postgres stored for a state folder, wherever it was placed."""
    for home in (state / "postgres", fallback_home(state)):
        shutil.rmtree(home, ignore_errors=True)
