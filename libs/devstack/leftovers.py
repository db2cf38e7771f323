"""Processes that outlived who started them, found by what they cannot hide."""

import contextlib
import signal
import time
from pathlib import Path

import psutil


def postgres_processes(data: Path) -> list[psutil.Process]:
    """Every live Postgres process of a data folder, postmaster or orphaned backend: each works in that folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data:
                found.append(process)
    return found


def stop_postgres(data: Path, grace: float = 10.0) -> None:
    """Ends every Postgres process of a data folder: an immediate shutdown, which frees shared memory; then by force."""
    processes = postgres_processes(data)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    kill_and_wait(processes, grace)


def wait_for_end(process: psutil.Process, seconds: float) -> None:
    """Waits until nothing of a process runs any more; what its parent has not asked for yet may be left."""
    give_up = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < give_up:
            time.sleep(0.02)


def kill_and_wait(processes: list[psutil.Process], grace: float) -> None:
    """Waits for processes to end by themselves, at most `grace` seconds, then kills those that are left."""
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
