"""GetStatus."""

import asyncio

import asyncpg
import pytest

from libs.data.migrate import expected_revision
from libs.devstack.postgres import Cluster
from tests.eventually import becomes_true
from tests.services.operations.operators import Operator, operations_service
from tests.stored import Connection


async def test_the_status_says_how_the_database_is(operator: Operator, db: Connection) -> None:
    status = await operator.status()
    assert not status.halt_state.halted
    assert not status.halt_state.HasField("changed_time")
    database = status.database
    assert database.reachable
    assert database.server_version == (await db.fetchval("SHOW server_version")).split()[0]
    assert database.schema_revision == database.expected_revision == expected_revision()
    assert 1 <= database.connection_count <= database.max_connection_count
    assert database.max_connection_count == int(await db.fetchval("SHOW max_connections"))
    horizon = await db.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    assert 0 < int(database.horizon_token, 16) < horizon


async def test_the_status_answers_without_the_database_and_again_with_it(postgres_cluster: Cluster) -> None:
    async with operations_service(postgres_cluster.url()) as operator:
        await operator.halt("before the fall")
        await asyncio.to_thread(postgres_cluster.kill9)

        async def unreachable() -> bool:
            return not (await operator.status()).database.reachable

        await becomes_true(unreachable)  # its backends outlive it for a moment
        status = await operator.status()
        assert not status.HasField("halt_state")
        assert status.database.expected_revision == expected_revision()
        await asyncio.to_thread(postgres_cluster.start)

        async def halted() -> bool:
            status = await operator.status()
            return status.database.reachable and status.halt_state.reason == "before the fall"

        await becomes_true(halted)


async def test_the_service_cannot_touch_what_is_not_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"role": "tally_operations"})
    try:
        for forbidden in (
            "DELETE FROM operations.halt",
            "UPDATE operations.events SET kind = 'x'",
            "DELETE FROM operations.events",
            "DELETE FROM operations.halt_log",
            "SELECT * FROM petition.petition_submissions",
            "INSERT INTO petition.requests (request_id, fingerprint) VALUES (gen_random_uuid(), '')",
            "CREATE TABLE operations.mine (n int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()
