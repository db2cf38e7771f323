"""What the supervisor writes down."""

import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psutil

from libs.devstack import locks
from libs.devstack.settings import StackSettings
from libs.devstack.stack import down
from libs.devstack.state import ProgramState, StackState, living
from libs.devstack.status import stack_status


def a_state(**programs: ProgramState) -> StackState:
    return StackState(
        supervisor_pid=os.getpid(),
        supervisor_create_time=psutil.Process().create_time(),
        started_at=datetime.now(UTC),
        phase="running",
        port_base=50051,
        database_url="postgresql://me:secret@db/tally",
        embedded=True,
        programs=programs,
    )


def test_a_state_is_read_as_it_was_written_and_only_its_owner_can(tmp_path: Path) -> None:
    state = a_state(petition=ProgramState(kind="service", address="127.0.0.1:1", log=tmp_path / "log", pid=7))
    state.write(tmp_path / "stack.json")
    assert StackState.read(tmp_path / "stack.json") == state
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


def test_half_a_state_counts_as_none(tmp_path: Path) -> None:
    whole = a_state().model_dump_json()
    (tmp_path / "stack.json").write_text(whole[: len(whole) // 2])
    assert StackState.read(tmp_path / "stack.json") is None
    assert StackState.read(tmp_path / "missing.json") is None


def test_a_process_id_that_somebody_else_has_by_now_is_not_taken_for_ours() -> None:
    me = psutil.Process()
    assert living(me.pid, me.create_time()) == me
    assert living(me.pid, me.create_time() - 3600) is None


def test_a_stack_whose_supervisor_is_gone_does_not_run_whatever_was_written(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path)
    a_state().write(settings.state.stack_file)
    assert not stack_status(settings).running


def test_down_ends_what_a_killed_supervisor_left_and_nothing_else(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path, drain_seconds=0)
    ours = subprocess.Popen(["sleep", "60"])
    others = subprocess.Popen(["sleep", "60"])
    try:
        created = psutil.Process(ours.pid).create_time()
        log = tmp_path / "log"
        a_state(
            petition=ProgramState(kind="service", address="", log=log, pid=ours.pid, create_time=created),
            # The id of a process that we started, but somebody else's process by now.
            aggregator=ProgramState(kind="service", address="", log=log, pid=others.pid, create_time=created - 3600),
        ).write(settings.state.stack_file)
        assert down(settings) is False
        assert ours.poll() is not None
        assert others.poll() is None
    finally:
        for process in (ours, others):
            process.kill()
            process.wait()


def test_a_lock_is_held_until_its_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    file = locks.try_hold(path)
    assert file is not None
    assert locks.is_held(path)
    assert locks.try_hold(path) is None
    file.close()
    assert not locks.is_held(path)
