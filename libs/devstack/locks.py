"""File locks that the kernel gives back when their holder dies, however it dies."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def try_hold(path: Path) -> IO[str] | None:
    """Takes the lock, kept until the returned file is closed or the process ends; None when somebody else has it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_held(path: Path) -> bool:
    """Whether some process holds the lock right now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Waits for the lock and keeps it while the context is open."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
