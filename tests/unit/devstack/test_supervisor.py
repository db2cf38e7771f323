"""The supervisor with services that only say that they are healthy, on the tests' database."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from libs.devstack.postgres import free_port, remove_home
from libs.devstack.settings import Service, StackSettings
from libs.devstack.state import StackState
from libs.devstack.supervisor import Supervisor
from libs.rpc.probe import probe
from tests.stack_ports import free_port_base
from tests.unit.devstack.waiting import until, wait_until

FAKE = "tests.unit.devstack.fake_service"


def settings_for(folder: Path, database_url: str) -> StackSettings:
    return StackSettings(state_dir=folder, port_base=free_port_base(), database_url=database_url, drain_seconds=1)


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A state folder for a Postgres of its own; pytest's folders are closed to the account that runs it."""
    with tempfile.TemporaryDirectory(prefix="tally-supervisor-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
        remove_home(Path(folder))


@asynccontextmanager
async def supervised(settings: StackSettings, *services: Service) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(settings, services)
    running = asyncio.create_task(supervisor.run())
    try:
        await until(lambda: supervisor.state.phase == "running" or running.done())
        yield supervisor
    finally:
        supervisor.request_stop()
        await running


async def test_it_migrates_the_given_database_then_runs_the_services_on_it(
    tmp_path: Path, empty_database_url: str
) -> None:
    settings = settings_for(tmp_path, empty_database_url)
    async with supervised(settings, Service("fake", 0, FAKE)) as supervisor:
        address = supervisor.state.programs["fake"].address
        await asyncio.to_thread(wait_until, lambda: probe(address) == "SERVING")
        with psycopg.connect(empty_database_url) as connection:
            assert connection.execute("SELECT count(*) FROM operations.schema_revision").fetchone() == (1,)
        written = StackState.read(settings.state.stack_file)
        assert written is not None
        assert written.phase == "running"
        assert written.programs["fake"].pid == supervisor.state.programs["fake"].pid
    assert empty_database_url in settings.state.log("fake").read_text()
    assert "stopped on request" in settings.state.log("fake").read_text()
    written = StackState.read(settings.state.stack_file)
    assert written is not None
    assert written.phase == "stopped"
    assert written.programs["fake"].pid is None


async def test_a_killed_service_comes_back_and_the_others_are_left_alone(tmp_path: Path, database_url: str) -> None:
    settings = settings_for(tmp_path, database_url)
    async with supervised(settings, Service("one", 0, FAKE), Service("two", 1, FAKE)) as supervisor:
        one, two = supervisor.state.programs["one"], supervisor.state.programs["two"]
        await until(lambda: one.pid and two.pid)
        first, other = one.pid, two.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: one.pid not in (None, first))
        assert (one.restarts, two.restarts, two.pid) == (1, 0, other)
        written = StackState.read(settings.state.stack_file)
        assert written is not None
        assert written.programs["one"].restarts == 1


async def test_a_database_that_cannot_be_reached_fails_the_start_with_the_log_of_the_migrations(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    supervisor = Supervisor(settings, [Service("fake", 0, FAKE)])
    assert await supervisor.run() == 1
    written = StackState.read(settings.state.stack_file)
    assert written is not None
    assert written.phase == "failed"
    assert "migrations exited with status 1" in written.detail
    assert "onnection refused" in written.detail
    assert written.programs == {}


@pytest.mark.heavy
async def test_services_are_told_of_the_embedded_postgres_and_its_replica(state_folder: Path) -> None:
    settings = settings_for(state_folder, "").model_copy(update={"replicas": 1})
    async with supervised(settings, Service("fake", 0, FAKE)) as supervisor:
        assert supervisor.state.phase == "running", supervisor.state.detail
        await until(lambda: "serving" in settings.state.log("fake").read_text())
        with psycopg.connect(supervisor.state.replica_urls[0]) as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    log = settings.state.log("fake").read_text()
    assert supervisor.state.database_url in log
    assert supervisor.state.replica_urls[0] in log


async def test_a_stop_in_the_middle_of_the_start_leaves_nothing_running(state_folder: Path) -> None:
    supervisor = Supervisor(settings_for(state_folder, ""), [Service("fake", 0, FAKE)])
    running = asyncio.create_task(supervisor.run())
    await until(lambda: "postgres" in supervisor.state.programs and supervisor.state.programs["postgres"].pid)
    supervisor.request_stop()
    assert await running == 0
    assert supervisor.cluster is not None
    assert not supervisor.cluster.answers()
