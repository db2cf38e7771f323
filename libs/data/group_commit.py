"""Group commit: callers that arrive while a transaction is in flight share the next one.

A row's lock is held once for all of them, and one durable commit answers all of them. There is no timer: a caller that is
alone goes at once. Order of arrival is kept.
"""

import asyncio
import copy
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from libs.data.database import Committed, Database
from libs.data.deadlines import current_deadline
from libs.data.driver_errors import command_at_fault
from libs.data.errors import DeadlineExceeded, Halted, Internal, ResourceExhausted, TallyError, Unavailable
from libs.data.transaction import Transaction
from libs.data.turns import let_others_in
from libs.telemetry.instruments import gauge_by, histogram

log = structlog.get_logger(__name__)

C = TypeVar("C")
R = TypeVar("R")

Work = Callable[[Transaction, Sequence[C]], Awaitable[Sequence[R | TallyError]]]

BATCH_SIZE = histogram(
    "tally.group_commit.batch_size",
    "{command}",
    "Commands that shared one transaction.",
    bounds=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
TRANSACTION_DURATION = histogram(
    "tally.group_commit.duration",
    "s",
    "From taking a batch off the queue to its outcome.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
_lanes: "weakref.WeakSet[GroupCommit[Any, Any]]" = weakref.WeakSet()
gauge_by(
    "tally.group_commit.queue_depth",
    "{command}",
    "Commands waiting for the next transaction.",
    "lane",
    lambda: {lane.name: lane.queue_depth for lane in list(_lanes)},
)

# Failures that no single command causes: trying halves apart would only fail twice.
_EVERYBODYS = (Halted, Unavailable, DeadlineExceeded, ResourceExhausted)


@dataclass(slots=True)
class _Submission(Generic[C, R]):
    commands: Sequence[C]
    done: asyncio.Future[Sequence[Committed[R] | TallyError]]
    deadline: float | None


class GroupCommit(Generic[C, R]):
    """One lane: at most one transaction of it is in flight in this process.

    Args:
        work: does all commands in one transaction and answers one outcome each, in order: a result, or the error of that
            command alone. May run again, also with fewer commands.
        max_batch: commands of one transaction; a larger submission goes alone.
        max_queue: commands that may wait; more are refused.
    """

    name: str

    def __init__(
        self, database: Database, work: Work[C, R], *, name: str, max_batch: int = 512, max_queue: int = 20_000
    ) -> None:
        self._database = database
        self._work = work
        self.name = name
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._waiting: deque[_Submission[C, R]] = deque()
        self._waiting_commands = 0
        self._lane: asyncio.Task[None] | None = None
        self._closed = False
        self._attributes = {"lane": name}
        _lanes.add(self)

    @property
    def queue_depth(self) -> int:
        """Commands waiting for the next transaction."""
        return self._waiting_commands

    async def submit(self, command: C) -> Committed[R]:
        """Does one command, and answers after the commit.

        Raises:
            TallyError: the command's own error, or why nothing (or, for OutcomeUnknown, perhaps something) was stored.
        """
        (outcome,) = await self._enqueue((command,))
        if isinstance(outcome, TallyError):
            raise outcome
        return outcome

    async def submit_many(self, commands: Sequence[C]) -> Sequence[Committed[R] | TallyError]:
        """Does many commands in one transaction and answers one outcome each, in order: errors are returned, not raised.

        Raises:
            ResourceExhausted, Unavailable: none was taken on.
        """
        return await self._enqueue(commands) if commands else ()

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        self._closed = True
        while self._lane is not None:
            await asyncio.wait({self._lane})

    def _enqueue(self, commands: Sequence[C]) -> asyncio.Future[Sequence[Committed[R] | TallyError]]:
        if self._closed:
            raise Unavailable("the server is shutting down")
        if self._waiting_commands + len(commands) > self._max_queue:
            raise ResourceExhausted("too many writes are waiting", retry_after_seconds=0.5)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Sequence[Committed[R] | TallyError]] = loop.create_future()
        self._waiting.append(_Submission(commands, done, current_deadline.get()))
        self._waiting_commands += len(commands)
        if self._lane is None:
            # A context of its own: the lane must not live by the deadline of the caller that happened to start it.
            self._lane = loop.create_task(self._run(), context=Context())
        return done

    async def _run(self) -> None:
        answered = 0
        try:
            while True:
                # A caller that is alone waits for nobody.
                if max(answered, len(self._waiting)) > 1:
                    await let_others_in(lambda: self._waiting_commands, self._max_batch)
                batch = self._next_batch()
                if not batch:
                    return
                await self._commit(batch)
                answered = len(batch)
        finally:
            self._lane = None

    def _next_batch(self) -> list[_Submission[C, R]]:
        """The longest run of waiting submissions that fits; callers that are gone or out of time are left out."""
        batch: list[_Submission[C, R]] = []
        size = 0
        now = time.monotonic()
        while self._waiting and (not batch or size + len(self._waiting[0].commands) <= self._max_batch):
            submission = self._waiting.popleft()
            self._waiting_commands -= len(submission.commands)
            if submission.done.done():
                continue
            if submission.deadline is not None and submission.deadline <= now:
                submission.done.set_exception(DeadlineExceeded("the deadline passed in the queue; nothing was stored"))
                continue
            batch.append(submission)
            size += len(submission.commands)
        return batch

    async def _commit(self, batch: Sequence[_Submission[C, R]]) -> None:
        commands = [command for submission in batch for command in submission.commands]
        began = time.perf_counter()
        outcomes = await self._outcomes(commands)
        TRANSACTION_DURATION.record(time.perf_counter() - began, self._attributes)
        BATCH_SIZE.record(len(commands), self._attributes)
        start = 0
        for submission in batch:
            end = start + len(submission.commands)
            if not submission.done.done():
                submission.done.set_result(outcomes[start:end])
            start = end

    async def _outcomes(self, commands: Sequence[C]) -> Sequence[Committed[R] | TallyError]:
        """One outcome a command. If the transaction failed and one of them may be the cause, halves are tried apart."""
        try:
            committed = await self._database.write(lambda transaction: self._work(transaction, commands))
        except Exception as error:
            cause = error.__cause__ if isinstance(error, TallyError) and error.__cause__ else error
            if len(commands) > 1 and not isinstance(error, _EVERYBODYS) and command_at_fault(cause):
                log.warning("batch_split", lane=self.name, commands=len(commands), error=type(cause).__name__)
                middle = len(commands) // 2
                return [*await self._outcomes(commands[:middle]), *await self._outcomes(commands[middle:])]
            if not isinstance(error, TallyError):
                log.exception("lane_failed", lane=self.name)
            return [_for_caller(error) for _ in commands]
        results: Sequence[R | TallyError] = committed.value
        assert len(results) == len(commands), f"{len(results)} outcomes for {len(commands)} commands"
        token = committed.token
        return [result if isinstance(result, TallyError) else Committed(result, token) for result in results]


def _for_caller(error: Exception) -> TallyError:
    """An error of the caller's own, because raising one exception in many tasks would pile up their tracebacks."""
    return copy.copy(error) if isinstance(error, TallyError) else Internal()
