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
from libs.devstack.placement import fallback_home
from libs.devstack.postgres import Cluster, free_port, remove_home

_SESSION_VARIABLE = "TALLY_TEST_SESSION_FOLDER"
_SESSION_PREFIX = "tally-tests-"
_START_SECONDS = 90.0
_cluster_numbers = itertools.count(1)


class SessionServer:
    """The controller's side: a folder the whole session shares, and a thread that starts Postgres on demand."""

    def __init__(self) -> None:
        sweep_dead_sessions()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_SESSION_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o711)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="test-postgres")
        self._thread.start()

    def _serve(self) -> None:
        while not (self.folder / "wanted").exists():
            if self._over.wait(0.02):
                return
        cluster: Cluster | None = None
        try:
            url = os.environ.get("TALLY_TEST_DATABASE_URL")
            if url is None:
                cluster = Cluster.in_state_folder(self.folder / "server", port=free_port())
                cluster.start()
                url = cluster.url("postgres")
            publish(self.folder / "ready.json", json.dumps({"url": url}))
            self._over.wait()
        except BaseException:
            publish(self.folder / "failed", traceback.format_exc())
            raise
        finally:
            if cluster is not None:
                cluster.destroy()
            elif url is not None:
                drop_templates(url, self.folder)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        remove_session(self.folder)


def remove_session(folder: Path) -> None:
    for state in (folder / "server", *folder.glob("cluster-*")):
        remove_home(state)
    shutil.rmtree(folder, ignore_errors=True)


def sweep_dead_sessions() -> None:
    """Removes what sessions left behind that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SESSION_PREFIX}*"):
        pid = folder.name.removeprefix(_SESSION_PREFIX).partition("-")[0]
        if folder.stat().st_uid != os.geteuid() or not pid.isdecimal() or psutil.pid_exists(int(pid)):
            continue
        for state in (folder / "server", *folder.glob("cluster-*")):
            for home in (state / "postgres", fallback_home(state)):
                leftovers.kill_and_wait(leftovers.postgres_processes(home / "primary"), grace=0)
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
        server = SessionServer()
        os.environ[_SESSION_VARIABLE] = str(server.folder)  # workers inherit it
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


def drop_templates(url: str, folder: Path) -> None:
    name = sql.Identifier(template_name(folder))
    with psycopg.connect(url, autocommit=True) as server:
        if (folder / "template").exists():
            server.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(name))
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


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
    # WAL_LOG: FILE_COPY would force a checkpoint of the whole server before and after every clone.
    server.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log").format(identifier, sql.Identifier(template))
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


@pytest.fixture
def empty_postgres_cluster() -> Iterator[Cluster]:
    """A running cluster of the test's own that it may kill; its database `tally` is empty."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    state = session_folder() / f"cluster-{worker}-{next(_cluster_numbers)}"
    cluster = Cluster.in_state_folder(state, port=free_port())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        remove_home(state)


@pytest.fixture
def postgres_cluster(empty_postgres_cluster: Cluster) -> Cluster:
    """A running cluster of the test's own, migrated: `url()`, `kill9()`, `stop()`, `start()`."""
    from libs.data.migrate import upgrade

    upgrade(empty_postgres_cluster.url())
    return empty_postgres_cluster
