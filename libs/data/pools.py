"""Connections to Postgres: bounded pools whose every connection has its time limits set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING

import asyncpg
import structlog
from asyncpg import Record

from libs.data.driver_errors import translate
from libs.data.errors import DeadlineExceeded, ResourceExhausted
from libs.data.settings import DatabaseSettings

log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # generic in the stubs only
    Connection = asyncpg.pool.PoolConnectionProxy[Record]
    _Base = asyncpg.Connection[Record]
else:
    Connection = asyncpg.pool.PoolConnectionProxy
    _Base = asyncpg.Connection

# Tasks that nobody waits for must be referred to, or they may be collected.
_giving_back: set[asyncio.Task[None]] = set()


class _PooledConnection(_Base):
    def get_reset_query(self) -> str:
        """Nothing here changes a session's state, so a returned connection needs no round trip to be clean."""
        return ""


async def open_pool(
    url: str, settings: DatabaseSettings, size: int, *, read_only: bool = False
) -> "asyncpg.Pool[Record]":
    """A pool that connects when first used, so a service can start before its database."""
    # Every statement finds its rows by key, so one plan serves every call and planning anew is lost time (of one signature, a
    # quarter). Scans are off, because a plan kept from when the tables were small would go on reading them whole.
    server_settings = {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "application_name": "tally",
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": _milliseconds(settings.statement_timeout),
        "lock_timeout": _milliseconds(settings.lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout),
    }
    if settings.database_role:
        server_settings["role"] = settings.database_role
    if read_only:
        server_settings["default_transaction_read_only"] = "on"
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        timeout=5.0,
        command_timeout=settings.statement_timeout + settings.lock_timeout,
        max_inactive_connection_lifetime=settings.connection_lifetime,
        max_cached_statement_lifetime=0,
        connection_class=_PooledConnection,
        server_settings=server_settings,
    )
    await pool
    return pool


@asynccontextmanager
async def acquire(
    pool: "asyncpg.Pool[Record]", settings: DatabaseSettings, *, at_most: float | None = None
) -> AsyncIterator[Connection]:
    """A connection of the pool.

    Args:
        at_most: seconds the caller has left to wait for it; None for as long as the settings say.

    Raises:
        DeadlineExceeded: the caller's time was over before one became free.
        ResourceExhausted: none became free in the time that the settings say.
        DatabaseUnavailable: none could be made.
    """
    try:
        # The pool's own timeout runs a task for every acquisition: a twelfth of a lone caller's transaction.
        async with asyncio.timeout(
            settings.acquire_timeout if at_most is None else min(settings.acquire_timeout, at_most)
        ):
            connection = await pool.acquire()
    except Exception as error:
        if isinstance(error, TimeoutError) and at_most is not None and at_most < settings.acquire_timeout:
            raise DeadlineExceeded("the deadline passed while waiting for the database; nothing was stored") from None
        if isinstance(error, TimeoutError) and not pool.get_idle_size() and pool.get_size() >= pool.get_max_size():
            raise ResourceExhausted("all database connections are busy", retry_after_seconds=1.0) from None
        raise translate(error) from error
    try:
        yield connection
    finally:
        # What was done on it is done: nobody waits the turns of the event loop that giving it back takes.
        giving_back = asyncio.create_task(_release(pool, connection), context=Context())
        _giving_back.add(giving_back)
        giving_back.add_done_callback(_giving_back.discard)


async def _release(pool: "asyncpg.Pool[Record]", connection: Connection) -> None:
    """Gives it back. What goes wrong here says nothing about the work done on it, so it must not become its answer."""
    try:
        await pool.release(connection)
    except Exception as error:  # the pool has closed the connection
        log.warning("connection_not_returned", error=type(error).__name__)


def broken(connection: Connection) -> bool:
    """Whether nothing can be asked of it any more."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back when it broke
        return True


def discard(connection: Connection) -> None:
    """Closes it at once, whatever its state is: nobody gets it again."""
    with contextlib.suppress(asyncpg.InterfaceError):  # it broke, and the pool has it back already
        connection.terminate()


async def close(pool: "asyncpg.Pool[Record]") -> None:
    """Closes the pool, by force if a connection does not come back."""
    try:
        async with asyncio.timeout(5.0):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
