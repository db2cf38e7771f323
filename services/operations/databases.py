"""The database as each service sees it. Operations works on what is theirs with their rights, and with no others."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from libs.data.catalog import COUNTERS
from libs.data.database import Database
from libs.data.settings import DatabaseSettings

# Of the services that have counters.
SERVICE_ROLES = tuple(dict.fromkeys(counter.aggregate.role for counter in COUNTERS.values()))


@asynccontextmanager
async def service_databases(
    settings: DatabaseSettings, pool_max: int, statement_seconds: float = 15.0
) -> AsyncIterator[Mapping[str, Database]]:
    """One database a role. The login must be a member of each.

    Args:
        pool_max: connections for writing, and as many for reading, of each role. They are made when first used.
        statement_seconds: what one statement may take; jobs read more than callers wait for.
    """
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(
                Database.open(
                    settings.model_copy(
                        update={
                            "database_role": role,
                            "write_pool_max": pool_max,
                            "read_pool_max": pool_max,
                            "statement_timeout": statement_seconds,
                            "replica_urls": [],
                        }
                    )
                )
            )
            for role in SERVICE_ROLES
        }
