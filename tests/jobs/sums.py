"""What tests have other processes do: functions of a module, for they are found by name."""

import os
import signal
import threading
import time
from pathlib import Path


def add(a: int, b: int) -> int:
    return a + b


def refuse(reason: str) -> int:
    raise ValueError(reason)


def process_id() -> int:
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stay(file: str) -> None:
    """Writes the process's id and computes for ever."""
    Path(file).write_text(str(os.getpid()))
    threading.Event().wait()


def meet(own: str, other: str) -> bool:
    """Whether another call ran at the same time."""
    Path(own).touch()
    deadline = time.monotonic() + 30
    while not Path(other).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
