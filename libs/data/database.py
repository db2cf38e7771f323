"""The database as Tally uses it: a pool for writing on the primary, pools for reading, and one way to do each.

Writers and readers have pools of their own, so that writers waiting for a row never keep a reader from a connection.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg
import structlog

from libs.data import pools
from libs.data.commit_tokens import CommitToken, decode_token, unknown_token
from libs.data.consistency import ANY, Consistency
from libs.data.deadlines import remaining_seconds
from libs.data.driver_errors import RETRYABLE, commit_certainly_failed, translate
from libs.data.errors import DatabaseUnavailable, DeadlineExceeded, OutcomeUnknown, TallyError
from libs.data.pools import Connection
from libs.data.replicas import Replicas
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Snapshot, Transaction

log = structlog.get_logger(__name__)

R = TypeVar("R")

# Kept back from a request's deadline, in seconds, so that the answer still reaches the caller.
DEADLINE_MARGIN = 0.05
RETRY_PAUSE = 0.01

KNOWN_XID = "SELECT $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())"


class Committed(NamedTuple, Generic[R]):
    """What a write answered, and the token of its commit (None if it wrote nothing)."""

    value: R
    token: CommitToken | None


class Database:
    """One primary, any number of replicas. Made by `Database.open`."""

    def __init__(
        self, settings: DatabaseSettings, writers: "asyncpg.Pool[Any]", readers: "asyncpg.Pool[Any]", replicas: Replicas
    ) -> None:
        self._settings = settings
        self._writers = writers
        self._readers = readers
        self._replicas = replicas
        self._in_flight: set[asyncio.Task[Any]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings) -> AsyncIterator["Database"]:
        """Opens the pools; the database need not be there yet. On exit waits for writes in flight, then closes them."""
        writers = await pools.open_pool(settings.database_url, settings, settings.write_pool_max)
        readers = await pools.open_pool(settings.database_url, settings, settings.read_pool_max, read_only=True)
        async with Replicas.open(settings) as replicas:
            database = cls(settings, writers, readers, replicas)
            try:
                yield database
            finally:
                await database.drain()
                await asyncio.gather(pools.close(writers), pools.close(readers))

    async def write(self, work: Callable[[Transaction], Awaitable[R]], *, while_halted: bool = False) -> Committed[R]:
        """Runs `work` in one transaction on the primary and answers after its commit.

        `work` runs again after a deadlock or serialization failure, of which Postgres guarantees that nothing committed;
        never after anything else. A caller that is cancelled does not cancel the transaction.

        Raises:
            DatabaseUnavailable, DeadlineExceeded: nothing was stored.
            OutcomeUnknown: the commit was sent and its answer lost.
            TallyError: what `work` raised; nothing was stored.
        """
        _time_left()
        task = asyncio.create_task(self._attempts(work, while_halted), context=copy_context())
        self._in_flight.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def read(
        self, work: Callable[[Snapshot], Awaitable[R]], consistency: Consistency = ANY, *, repeatable: bool = False
    ) -> R:
        """Runs `work` on a replica if there is one that is good enough, else on the primary.

        Args:
            repeatable: all statements of `work` see one moment.

        Raises:
            DatabaseUnavailable, DeadlineExceeded: could not be read.
            InvalidInput: the token in `consistency` is not one of this database's.
        """
        try:
            async with asyncio.timeout(_time_left()):
                replica = self._replicas.pick(consistency)
                if replica is not None:
                    async with pools.acquire(replica.pool, self._settings) as connection:
                        if await self._replicas.reflects(connection, consistency.at_least):
                            snapshot = Snapshot(connection, from_replica=True, lag_seconds=replica.lag_bound)
                            return await _read(connection, snapshot, work, repeatable)
                async with pools.acquire(self._readers, self._settings) as connection:
                    await _check_token(connection, consistency.at_least)
                    return await _read(connection, Snapshot(connection), work, repeatable)
        except TimeoutError:
            raise DeadlineExceeded from None
        except Exception as error:
            raise _logged(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """One moment of the primary, for as long as the context is open: what is read a page at a time fits together.

        It holds one of the connections for reading. A reader that asks for nothing for as long as the settings'
        `idle_in_transaction_timeout` loses it.

        Raises:
            DatabaseUnavailable, DeadlineExceeded: could not be read.
        """
        try:
            async with (
                pools.acquire(self._readers, self._settings, at_most=_time_left()) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield Snapshot(connection)
        except Exception as error:
            raise _logged(error) from error

    async def ping(self) -> None:
        """Raises unless the primary answers within two seconds."""
        try:
            async with asyncio.timeout(2.0), pools.acquire(self._readers, self._settings) as connection:
                await connection.fetchval("SELECT 1")
        except Exception as error:
            raise translate(error) from error

    async def drain(self) -> None:
        """Waits until no write is in flight."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, because a caller that was cancelled no longer does

    async def _attempts(self, work: Callable[[Transaction], Awaitable[R]], while_halted: bool) -> Committed[R]:
        attempt = 1
        while True:
            try:
                return await self._attempt(work, while_halted)
            except RETRYABLE as error:
                if attempt >= self._settings.write_attempts:
                    raise _logged(error) from error
                log.info("transaction_repeated", attempt=attempt, cause=type(error).__name__)
                await asyncio.sleep(random.uniform(0, RETRY_PAUSE * 2**attempt))  # noqa: S311  # jitter
                attempt += 1

    async def _attempt(self, work: Callable[[Transaction], Awaitable[R]], while_halted: bool) -> Committed[R]:
        async with self._begun() as connection:
            try:
                transaction = Transaction(connection)
                value = await work(transaction)
                token = await transaction.seal(while_halted=while_halted)
            except BaseException as error:
                await _roll_back(connection)
                if isinstance(error, (*RETRYABLE, TallyError)) or not isinstance(error, Exception):
                    raise
                raise _logged(error) from error
            await _commit(connection)
        return Committed(value, token)

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Connection]:
        """A connection with a transaction begun. BEGIN is the check of a connection that may have died while idle: a dead
        one is replaced, as long as nothing was asked of it."""
        for attempt in range(self._settings.write_pool_max + 1):
            async with pools.acquire(self._writers, self._settings, at_most=_time_left()) as connection:
                try:
                    await connection.execute(self._begin(_time_left()))
                except Exception as error:
                    if pools.broken(connection) and attempt < self._settings.write_pool_max:
                        continue
                    await _roll_back(connection)
                    raise _logged(error) from error
                yield connection
                return
        raise DatabaseUnavailable

    def _begin(self, remaining: float | None) -> str:
        if remaining is None or remaining >= self._settings.statement_timeout:
            return "BEGIN"
        return f"BEGIN; SET LOCAL statement_timeout = {max(1, int(remaining * 1000))}"


def _time_left() -> float | None:
    """Seconds the database may take for the current request; None without a deadline.

    Raises:
        DeadlineExceeded: none left.
    """
    remaining = remaining_seconds()
    if remaining is None:
        return None
    if remaining <= DEADLINE_MARGIN:
        raise DeadlineExceeded
    return remaining - DEADLINE_MARGIN


def _logged(error: BaseException) -> TallyError:
    """The error for the caller; what the driver said goes to the log."""
    translated = translate(error)
    if translated is not error:
        log.warning("database_error", error=type(error).__name__, detail=str(error), answered=translated.reason)
    return translated


async def _read(
    connection: Connection, snapshot: Snapshot, work: Callable[[Snapshot], Awaitable[R]], repeatable: bool
) -> R:
    if not repeatable:
        return await work(snapshot)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await work(snapshot)


async def _check_token(connection: Connection, token: CommitToken | None) -> None:
    """On the primary every acknowledged commit is visible; a token it has not reached yet was never handed out."""
    if token is not None and not await connection.fetchval(KNOWN_XID, str(decode_token(token))):
        raise unknown_token()


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.execute("ROLLBACK", timeout=2.0)
    except Exception:
        pools.discard(connection)  # the server rolls back by itself


async def _commit(connection: Connection) -> None:
    try:
        tag = await connection.execute("COMMIT")
    except Exception as error:
        pools.discard(connection)
        if commit_certainly_failed(error):
            raise _logged(error) from error
        log.error("commit_outcome_unknown", error=type(error).__name__, detail=str(error))
        raise OutcomeUnknown from error
    assert tag == "COMMIT", f"COMMIT answered {tag}"


__all__ = ["Committed", "Database"]
