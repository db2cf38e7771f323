"""What the supervisor writes down about itself and its programs, for `tally status` and for whoever comes after it."""

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ValidationError

Phase = Literal["starting", "running", "failed", "stopping", "stopped"]
Kind = Literal["postgres", "replica", "service"]


class ProgramState(BaseModel):
    """One program. `create_time` tells its process from another one that got the same id later."""

    kind: Kind
    address: str
    log: Path
    pid: int | None = None
    create_time: float | None = None
    restarts: int = 0
    last_exit: str | None = None


class StackState(BaseModel):
    """The whole stack. `detail` says what it is waiting for, or why it failed."""

    supervisor_pid: int
    supervisor_create_time: float
    started_at: datetime
    phase: Phase
    detail: str = ""
    port_base: int
    database_url: str
    replica_urls: list[str] = []
    embedded: bool
    programs: dict[str, ProgramState] = {}

    def write(self, path: Path) -> None:
        """Readers see the old state or the new one, never half of it; the URL may hold a password, so only its owner."""
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.model_dump_json(indent=2))
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> "StackState | None":
        """The last state written, or None where there is none that can be read."""
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError):
            return None


def living(pid: int | None, create_time: float | None) -> psutil.Process | None:
    """The process of that id if it is still the one that was started then."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        same = create_time is None or abs(process.create_time() - create_time) < 1.0
    except psutil.Error:
        return None
    return process if same else None
