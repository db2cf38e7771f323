"""The local stack as its users meet it: the `tally` command in processes of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import psycopg
import pytest
from tally.petition.v1 import petition_service_pb2 as petition_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.devstack import ports
from libs.devstack import stack as local_stack
from libs.devstack.postgres import remove_home
from libs.devstack.settings import SOURCE_ROOT, StackSettings
from libs.devstack.state import StackState
from libs.devstack.status import ProgramStatus, StackStatus, stack_status
from tests.stack_ports import free_port_base
from tests.unit.devstack.waiting import wait_until

SERVICES = {"petition", "voting", "claims", "reputation", "aggregator", "operations"}
PATIENCE = 90.0
# A stack is ten Python programs; on a busy machine of two cores they take their time.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Tally:
    """The `tally` command with a state folder and ports of its own."""

    settings: StackSettings

    def run(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **self.settings.environment(), **extra}
        command = [sys.executable, "-m", "libs.cli.main", *arguments]
        return subprocess.run(
            command, cwd=SOURCE_ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
        )

    def up(self) -> str:
        done = self.run("up")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> StackStatus:
        """What `tally status` says, without the second it takes to start Python."""
        return stack_status(self.settings)

    def healthy(self) -> bool:
        return self.status().healthy

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it, backends of Postgres included."""
        supervisor = psutil.Process(
            StackState.model_validate_json(self.settings.state.stack_file.read_text()).supervisor_pid
        )
        return [supervisor, *supervisor.children(recursive=True)]


def kill(program: ProgramStatus | None) -> None:
    assert program is not None
    assert program.pid is not None
    os.kill(program.pid, signal.SIGKILL)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def tally() -> Iterator[Tally]:
    folder = Path(tempfile.mkdtemp(prefix="tally-e2e-"))
    folder.chmod(0o711)
    settings = StackSettings(state_dir=folder, port_base=free_port_base(), database_url="", drain_seconds=5)
    command = Tally(settings)
    try:
        yield command
    finally:
        local_stack.down(settings)
        remove_home(folder)
        shutil.rmtree(folder)


def create_petition(tally: Tally) -> str:
    with grpc.insecure_channel(tally.status().services["petition"].address) as channel:
        request = petition_pb2.CreatePetitionRequest(request_id=str(uuid.uuid4()))
        request.petition.title = "Keep what was acknowledged"
        request.petition.body = "Whatever is killed."
        request.petition.petition_type = "local"
        request.petition.submitter_id = str(uuid.uuid4())
        answer: petition_pb2.CreatePetitionResponse = PetitionServiceStub(channel).CreatePetition(request, timeout=10)
    return answer.petition.petition_id


def petition_is_there(tally: Tally, petition_id: str) -> bool:
    with grpc.insecure_channel(tally.status().services["petition"].address) as channel:
        request = petition_pb2.GetPetitionRequest(petition_id=petition_id)
        answer: petition_pb2.GetPetitionResponse = PetitionServiceStub(channel).GetPetition(request, timeout=10)
    return answer.petition.petition_id == petition_id


@pytest.mark.heavy
def test_what_is_killed_comes_back_and_status_says_so_and_down_leaves_no_process(tally: Tally) -> None:
    assert "started in" in tally.up()
    assert local_stack.up(tally.settings) is False
    before = tally.status()
    assert set(before.services) == SERVICES
    assert all(service.restarts == 0 for service in before.services.values())
    petition_id = create_petition(tally)

    kill(before.services["aggregator"])
    wait_until(lambda: tally.status().services["aggregator"].restarts == 1, PATIENCE)
    wait_until(tally.healthy, PATIENCE)
    kill(before.postgres)
    wait_until(lambda: tally.status().programs()["postgres"].restarts == 1, PATIENCE)
    wait_until(tally.healthy, PATIENCE)

    status = tally.run("status", "--json")
    assert status.returncode == 0
    after = json.loads(status.stdout)
    assert after["database_url"] == f"postgresql://postgres@127.0.0.1:{tally.settings.postgres_port}/tally"
    assert after["postgres"]["last_exit"].startswith("killed by SIGKILL")
    assert after["services"]["aggregator"]["restarts"] == 1
    # The other services lived through the outage of their database.
    assert after["services"]["petition"]["pid"] == before.services["petition"].pid
    assert petition_is_there(tally, petition_id)
    assert tally.run("doctor").returncode == 0
    assert "serving" in tally.run("logs", "petition").stdout

    processes = tally.processes()
    assert len(processes) > len(SERVICES) + 2
    assert tally.run("down").returncode == 0
    assert alive(processes) == []
    assert not ports.taken(tally.settings.ports())
    assert tally.run("status").returncode == 3


@pytest.mark.heavy
def test_a_killed_supervisor_takes_its_programs_along_and_the_next_up_finds_the_data(tally: Tally) -> None:
    tally.up()
    petition_id = create_petition(tally)
    processes = tally.processes()
    kill(tally.status().supervisor)
    wait_until(lambda: not alive(processes), PATIENCE)
    assert not tally.status().running

    assert "started in" in tally.up()
    assert petition_is_there(tally, petition_id)


def test_a_database_of_the_users_own_is_used_instead(tally: Tally, empty_database_url: str) -> None:
    own = Tally(tally.settings.model_copy(update={"database_url": empty_database_url}))
    own.up()
    answer = own.status()
    assert answer.database_url == empty_database_url
    assert answer.postgres is not None
    assert (answer.postgres.healthy, answer.postgres.pid) == (True, None)
    petition_id = create_petition(own)
    with psycopg.connect(empty_database_url) as connection:
        query = "SELECT count(*) FROM petition.petition_submissions WHERE petition_id = %s"
        assert connection.execute(query, [petition_id]).fetchone() == (1,)


def test_a_taken_port_is_named_and_nothing_starts(tally: Tally) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", tally.settings.port_base + 4))
        listener.listen(1)
        done = tally.run("up")
    assert done.returncode == 1
    assert f"port {tally.settings.port_base + 4} (aggregator) is taken" in done.stderr
    assert "TALLY_PORT_BASE" in done.stderr
    assert not tally.status().running


@pytest.mark.heavy
def test_a_service_that_does_not_start_fails_the_start_with_the_end_of_its_log(tally: Tally, database_url: str) -> None:
    done = tally.run("up", TALLY_PETITION_MAX_BATCH="0", TALLY_DATABASE_URL=database_url)
    assert done.returncode == 1
    assert "petition: " in done.stderr
    assert "petition_max_batch" in done.stderr
    assert not tally.status().running
    assert not ports.taken(tally.settings.ports())
