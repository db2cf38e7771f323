"""Fixtures on a real Postgres: a fresh database a test, cloned from one that was migrated once.

One server serves the whole test session, pytest-xdist's workers included. The controlling process owns it: a thread of
its own starts it when the first test asks, and it ends with that process, however that ends. `TALLY_TEST_DATABASE_URL`
(of a superuser) uses a server of yours instead.
"""

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from libs.devstack import leftovers
from libs.devstack.account import Account
from libs.devstack.installation import Installation
from libs.devstack.placement import fallback_home, postgres_home
from libs.devstack.postgres import Cluster, free_port, remove_home

_SESSION_VARIABLE = "TALLY_TEST_SESSION_FOLDER"
_SESSION_PREFIX = "tally-tests-"
_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 4 << 30
_START_SECONDS = 90.0
_cluster_numbers = itertools.count(1)


class SessionServer:
    """The controller's side: a folder the whole session shares, and a thread that starts Postgres on demand."""

    def __init__(self) -> None:
        sweep_dead_sessions()
        self.folder = make_session_folder(Path(tempfile.gettempdir()))
        os.environ[_SESSION_VARIABLE] = str(self.folder)  # workers inherit it
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="test-postgres")
        self._thread.start()

    def _serve(self) -> None:
        while not (self.folder / "wanted").exists():
            if self._over.wait(0.02):
                return
        try:
            url = os.environ.get("TALLY_TEST_DATABASE_URL")
            with contextlib.nullcontext(url) if url else self._embedded() as url:
                publish(self.folder / "ready.json", json.dumps({"url": url}))
                self._over.wait()
                drop_template(url, self.folder)
        except Exception:
            publish(self.folder / "failed", traceback.format_exc())

    @contextlib.contextmanager
    def _embedded(self) -> Iterator[str]:
        # Making a database is some 300 small files: 25 ms in memory, 350 ms on the disk this was measured on. Tests that
        # are about durability have a cluster of their own, which is on disk.
        folder = make_session_folder(_MEMORY) if memory_is_roomy() else self.folder
        cluster = new_cluster(folder / "server", max_wal_size="256MB")
        try:
            cluster.start()
            yield cluster.url("postgres")
        finally:
            cluster.destroy()
            remove_session(folder)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        remove_session(self.folder)


def memory_is_roomy() -> bool:
    return _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED


def new_cluster(state: Path, **settings: str) -> Cluster:
    """A cluster below the state folder; the session's processes share one copy of the programs, if they need a copy."""
    account = Account.for_postgres()
    installation = Installation.find().usable_by(account, postgres_home(session_folder(), account))
    # Shared memory in files below the data folder, so that a killed test leaves nothing elsewhere.
    settings = {"dynamic_shared_memory_type": "mmap", **settings}
    return Cluster.in_state_folder(state, port=free_port(), installation=installation, settings=settings)


def make_session_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{_SESSION_PREFIX}{os.getpid()}-", dir=parent))
    folder.chmod(0o711)
    return folder


def state_folders(session: Path) -> list[Path]:
    return [session, session / "server", *session.glob("cluster-*")]


def remove_session(folder: Path) -> None:
    for state in state_folders(folder):
        remove_home(state)
    shutil.rmtree(folder, ignore_errors=True)


def sweep_dead_sessions() -> None:
    """Removes what sessions left behind that were killed before they could."""
    for folder in [*Path(tempfile.gettempdir()).glob(f"{_SESSION_PREFIX}*"), *_MEMORY.glob(f"{_SESSION_PREFIX}*")]:
        pid = folder.name.removeprefix(_SESSION_PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another session may be sweeping, too
            if folder.stat().st_uid != os.geteuid() or not pid.isdecimal() or psutil.pid_exists(int(pid)):
                continue
            for state in state_folders(folder):
                for home in (state / "postgres", fallback_home(state)):
                    leftovers.stop_postgres(home / "primary")
            remove_session(folder)


def publish(path: Path, text: str) -> None:
    """Writes a file that others wait for: they see all of it or nothing."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


# -- pytest's hooks


def is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if is_controller(config):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
        server = SessionServer()
        config.add_cleanup(server.close)


# -- the server and its databases


def session_folder() -> Path:
    return Path(os.environ[_SESSION_VARIABLE])


def with_database(url: str, name: str) -> str:
    return urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def template_name(folder: Path) -> str:
    return f"tally_template_{folder.name.removeprefix(_SESSION_PREFIX).replace('-', '_').lower()}"


def drop_template(url: str, folder: Path) -> None:
    name = sql.Identifier(template_name(folder))
    with psycopg.connect(url, autocommit=True) as server:
        if server.execute("SELECT FROM pg_database WHERE datname = %s", [template_name(folder)]).fetchone() is None:
            return
        server.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(name))
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The session's server, as a superuser's URL of its maintenance database."""
    folder = session_folder()
    (folder / "wanted").touch()
    deadline = time.monotonic() + _START_SECONDS
    while not (folder / "ready.json").exists():
        if (folder / "failed").exists():
            pytest.fail(f"the test Postgres did not start:\n{(folder / 'failed').read_text()}")
        assert time.monotonic() < deadline, f"the test Postgres did not start in {_START_SECONDS:.0f} s"
        time.sleep(0.02)
    url: str = json.loads((folder / "ready.json").read_text())["url"]
    return url


@pytest.fixture(scope="session")
def postgres_server(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the session's server, to make and drop databases with."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        yield server


@pytest.fixture(scope="session")
def template_database(postgres_url: str, postgres_server: psycopg.Connection) -> str:
    """The name of the migrated database that tests clone; made by whichever worker comes first."""
    folder = session_folder()
    name = template_name(folder)
    with locked(folder / "template.lock"):
        if not (folder / "template").exists():
            from libs.data.migrate import upgrade

            identifier = sql.Identifier(name)
            postgres_server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
            postgres_server.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
            upgrade(with_database(postgres_url, name))
            # Nobody may connect from here on: a clone needs its template to itself.
            postgres_server.execute(
                sql.SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false").format(identifier)
            )
            (folder / "template").touch()
    return name


@contextlib.contextmanager
def scratch_database(server: psycopg.Connection, url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    identifier = sql.Identifier(name)
    # FILE_COPY was measured at 14 ms against 25 ms for WAL_LOG; its checkpoints cost nothing in memory.
    server.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(identifier, sql.Identifier(template))
    )
    try:
        yield with_database(url, name)
    finally:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture
def database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of the test's own, dropped when the test is over."""
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: psycopg.Connection, postgres_url: str) -> Iterator[str]:
    """A database of the test's own without any table, for tests of migrations."""
    with scratch_database(postgres_server, postgres_url, "template0") as url:
        yield url


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster while the context is open; its database `tally` is empty."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    state = session_folder() / f"cluster-{worker}-{next(_cluster_numbers)}"
    cluster = new_cluster(state)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        remove_home(state)


@pytest.fixture
def empty_postgres_cluster() -> Iterator[Cluster]:
    """A running cluster of the test's own that it may kill; its database `tally` is empty."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres_cluster(empty_postgres_cluster: Cluster) -> Cluster:
    """A running cluster of the test's own, migrated: `url()`, `kill9()`, `stop()`, `start()`."""
    from libs.data.migrate import upgrade

    upgrade(empty_postgres_cluster.url())
    return empty_postgres_cluster
