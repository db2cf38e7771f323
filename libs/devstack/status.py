"""How the stack is right now: what the supervisor wrote down, and what each program answers when asked."""

import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from pydantic import BaseModel

from libs.devstack import locks
from libs.devstack.settings import StackSettings
from libs.devstack.state import Phase, ProgramState, StackState, living
from libs.rpc.probe import probe

_ANSWER_SECONDS = 2


class ProgramStatus(BaseModel):
    """One program; `problem` says why it is not healthy, `last_exit` how it ended before its last restart."""

    address: str
    healthy: bool
    restarts: int = 0
    pid: int | None = None
    problem: str | None = None
    last_exit: str | None = None
    log: Path | None = None


class StackStatus(BaseModel):
    """The whole stack. `postgres` is also there, without a process, when the database is the user's own."""

    running: bool
    healthy: bool
    phase: Phase
    detail: str = ""
    state_dir: Path
    database_url: str | None = None
    supervisor: ProgramStatus | None = None
    postgres: ProgramStatus | None = None
    replicas: dict[str, ProgramStatus] = {}
    services: dict[str, ProgramStatus] = {}

    def programs(self) -> dict[str, ProgramStatus]:
        """Every program by name, in the order people think of them."""
        postgres = {"postgres": self.postgres} if self.postgres else {}
        return {**postgres, **self.replicas, **self.services}


def stack_status(settings: StackSettings) -> StackStatus:
    """Asks everybody. A stack whose supervisor is gone is not running, whatever was written down."""
    folder = settings.state
    state = StackState.read(folder.stack_file)
    if state is None or not locks.is_held(folder.supervisor_lock):
        phase: Phase = state.phase if state and state.phase == "failed" else "stopped"
        detail = state.detail if state and phase == "failed" else ""
        return StackStatus(running=False, healthy=False, phase=phase, detail=detail, state_dir=folder.path)
    status = StackStatus(
        running=True,
        healthy=False,
        phase=state.phase,
        detail=state.detail,
        state_dir=folder.path,
        database_url=state.database_url or None,
        supervisor=ProgramStatus(address="", healthy=True, pid=state.supervisor_pid, log=folder.log("supervisor")),
    )
    with ThreadPoolExecutor(max_workers=max(1, len(state.programs) + 1)) as pool:
        asked = {name: pool.submit(_program_status, program, state) for name, program in state.programs.items()}
        if not state.embedded:
            status.postgres = pool.submit(_external_postgres, state.database_url).result()
        for name, answer in asked.items():
            match state.programs[name].kind:
                case "postgres":
                    status.postgres = answer.result()
                case "replica":
                    status.replicas[name] = answer.result()
                case "service":
                    status.services[name] = answer.result()
    status.healthy = state.phase == "running" and all(program.healthy for program in status.programs().values())
    return status


def _program_status(program: ProgramState, state: StackState) -> ProgramStatus:
    if living(program.pid, program.create_time) is None:
        problem: str | None = "not running"
    elif program.kind == "service":
        problem = _grpc_problem(program.address)
    else:
        problem = _database_problem(with_address(state.database_url, program.address))
    return ProgramStatus(
        address=program.address,
        healthy=problem is None,
        restarts=program.restarts,
        pid=program.pid,
        problem=problem,
        last_exit=program.last_exit,
        log=program.log,
    )


def _external_postgres(url: str) -> ProgramStatus:
    problem = _database_problem(url)
    return ProgramStatus(
        address=urllib.parse.urlsplit(url).netloc.rpartition("@")[2], healthy=not problem, problem=problem
    )


def _grpc_problem(address: str) -> str | None:
    answer = probe(address, timeout_seconds=_ANSWER_SECONDS)
    return None if answer == "SERVING" else f"health check answers {answer}"


def _database_problem(url: str) -> str | None:
    try:
        with psycopg.connect(url, connect_timeout=_ANSWER_SECONDS) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        # libpq puts the attempt first and the reason last.
        return str(error).strip().splitlines()[-1].rpartition("failed: ")[2]
    return None


def with_address(url: str, address: str) -> str:
    """The same URL on another host and port; before there is one, the maintenance database."""
    if not url:
        return f"postgresql://postgres@{address}/postgres"
    parts = urllib.parse.urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{address}").geturl()
