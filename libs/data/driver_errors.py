"""From what asyncpg raises to the errors a caller can be told. Driver text goes to the log, never to a caller."""

import asyncpg

from libs.data.errors import DatabaseUnavailable, DeadlineExceeded, Internal, TallyError

# Postgres guarantees that nothing of such a transaction committed and that running it again can succeed.
RETRYABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def command_at_fault(error: BaseException) -> bool:
    """Whether one command's data may have failed the whole transaction: in a shared one, the command to find."""
    wrong_argument = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    return wrong_argument or not isinstance(translate(error), DatabaseUnavailable | DeadlineExceeded)


# What a connection that broke, could not be made or was cut off raises, besides OSError and TimeoutError.
_CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.PostgresIOError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
)


def translate(error: BaseException) -> TallyError:
    """The error to raise for one that a statement before COMMIT raised: nothing was stored."""
    if isinstance(error, TallyError):
        return error
    if isinstance(error, asyncpg.QueryCanceledError):
        return DeadlineExceeded("the database needed longer than the time there was; nothing was stored")
    if isinstance(error, asyncpg.LockNotAvailableError):
        return DatabaseUnavailable("the rows are locked for too long; nothing was stored")
    if isinstance(error, RETRYABLE):
        return DatabaseUnavailable("the transaction met others too often; nothing was stored")
    if isinstance(error, (*_CONNECTION_LOST, OSError, TimeoutError, EOFError)):
        return DatabaseUnavailable()
    return Internal()


def commit_certainly_failed(error: BaseException) -> bool:
    """Whether an error that answered COMMIT proves that nothing was committed.

    Only an ordinary ERROR does: a FATAL one, a cancelled wait or a lost connection can come after the commit record was
    written.
    """
    return (
        isinstance(error, asyncpg.PostgresError)
        and not isinstance(error, (*_CONNECTION_LOST, asyncpg.QueryCanceledError))
        and getattr(error, "severity_en", None) in (None, "ERROR")
    )
