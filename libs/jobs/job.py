"""What a job is: declared once, in its service's `jobs.py`, and run by whichever worker takes it.

A job has a type and a key, such as `analysis` and a conversation's id. Of one type and key at most one runs and at most one
waits: whoever queues it while it waits adds nothing, and whoever queues it while it runs has it run once more.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from libs.data.database import Database
from libs.data.events import StoredEvent

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class JobContext:
    """What the work of a job is given.

    Args:
        databases: the database as each role sees it.
        compute: awaits a function called in another process.
    """

    def __init__(self, databases: Mapping[str, Database], compute: Callable[..., Awaitable[Any]]) -> None:
        self._databases = databases
        self._compute = compute

    def database(self, role: str) -> Database:
        """The database with the rights of one service, such as `tally_voting`."""
        return self._databases[role]

    async def compute(self, function: Callable[[*Ts], R], *arguments: *Ts) -> R:
        """Calls a function in another process, so that it never blocks the event loop.

        The function is one of a module's; it, its arguments and what it answers are pickled. When the job's time is over, its
        process ends.

        Raises:
            What the function raised.
            ComputeFailed: its process died.
        """
        answer: R = await self._compute(function, *arguments)
        return answer


Work = Callable[[JobContext, str], Awaitable[None]]


class Due(NamedTuple):
    """A job to be queued: for what, and the seconds to wait before it begins.

    A job that waits is not queued again, so the pause is also the shortest time from one run to the next.
    """

    key: str
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A type of job.

    Its work must bear to be done again from the start, whatever was done of it before: a worker can die at any moment, and one
    that was only slow may go on beside its successor. What work raises has it tried again, later each time. `Halted` does not
    count: the job waits until writes go on.

    Args:
        name: of the type, such as `analysis`: letters a-z and underscores, the same for good, because queued jobs carry it.
        work: does it, given the key.
        timeout: seconds a run may take.
        retries: runs after a first that failed, before the job is put aside as failed.
        follows: of each event that committed, the job that is due because of it; None if none is.
        every: seconds between runs that nothing but time makes due, with an empty key; None for no such runs.
    """

    name: str
    work: Work
    timeout: float = 15.0
    retries: int = 5
    follows: Callable[[StoredEvent], Due | None] | None = None
    every: float | None = None


__all__ = ["Due", "Job", "JobContext", "Work"]
