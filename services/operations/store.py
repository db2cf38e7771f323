"""Halting and resuming all writes, and how the database is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.data.commit_tokens import CommitToken, encode_token
from libs.data.events import Event
from libs.data.requests import Replay, Requests
from libs.data.transaction import Record, Snapshot, Transaction
from services.operations.errors import NotHalted


@dataclass(frozen=True, slots=True)
class HaltState:
    """Whether writes are halted, and who said why and when."""

    halted: bool
    reason: str
    actor: str
    changed_time: datetime | None


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The primary as it answers."""

    server_version: str
    schema_revision: str
    horizon: CommitToken
    connection_count: int
    max_connection_count: int


HALTS = Requests("operations", "Halt", HaltState)
RESUMES = Requests("operations", "Resume", HaltState)

LOCK = "SELECT halted FROM operations.halt FOR NO KEY UPDATE"
# The time strictly rises from one change to the next, whatever the clock does: it is the version of the event.
CHANGE = """
UPDATE operations.halt
SET halted = $1, reason = $2, actor = $3, changed_time = greatest(clock_timestamp(), changed_time + interval '1 microsecond')
RETURNING halted, reason, actor, changed_time, (extract(epoch FROM changed_time) * 1000000)::bigint AS version
"""
LOG = "INSERT INTO operations.halt_log (halted, reason, actor, changed_time) VALUES ($1, $2, $3, $4)"


async def halt(tx: Transaction, reason: str, actor: str, request_id: UUID) -> HaltState | Replay[HaltState]:
    """Sets the flag that every write reads. Writes that have read it already are not stopped by this: wait for them."""
    replay = await HALTS.claim(tx, request_id, reason, actor)
    if replay is not None:
        return replay
    state = await _change(tx, halted=True, reason=reason, actor=actor)
    await HALTS.record(tx, request_id, state)
    return state


async def resume(tx: Transaction, reason: str, actor: str, request_id: UUID) -> HaltState | Replay[HaltState]:
    """Clears the flag.

    Raises:
        NotHalted: it is not set.
    """
    replay = await RESUMES.claim(tx, request_id, reason, actor)
    if replay is not None:
        return replay
    if not await tx.fetchval(LOCK):
        raise NotHalted
    state = await _change(tx, halted=False, reason=reason, actor=actor)
    await RESUMES.record(tx, request_id, state)
    return state


async def _change(tx: Transaction, *, halted: bool, reason: str, actor: str) -> HaltState:
    row = await tx.fetchrow(CHANGE, halted, reason, actor)
    assert row is not None, "operations.halt has lost its row"
    state = _halt_state(row)
    await tx.execute(LOG, state.halted, state.reason, state.actor, state.changed_time)
    kind = "operations.halted" if halted else "operations.resumed"
    tx.emit([Event(kind, "halt", row["version"], {"reason": reason, "actor": actor})])
    return state


async def begin_and_end(tx: Transaction) -> None:
    """Takes a transaction id: every transaction that began to write before has a smaller one."""
    await tx.fetchval("SELECT pg_current_xact_id()")


async def horizon(snapshot: Snapshot) -> int:
    """Every transaction with a smaller id has ended."""
    oldest: int = await snapshot.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return oldest


STATUS = """
SELECT halted, reason, actor, changed_time,
       split_part(current_setting('server_version'), ' ', 1) AS server_version,
       (SELECT version_num FROM operations.schema_revision) AS schema_revision,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
       (SELECT sum(numbackends) FROM pg_stat_database)::integer AS connection_count,
       current_setting('max_connections')::integer AS max_connection_count
FROM operations.halt
"""


async def status(snapshot: Snapshot) -> tuple[HaltState, DatabaseState]:
    """What the primary says of itself."""
    row = await snapshot.fetchrow(STATUS)
    assert row is not None, "operations.halt has lost its row"
    database = DatabaseState(
        row["server_version"],
        row["schema_revision"] or "",
        encode_token(row["horizon"] - 1),
        row["connection_count"],
        row["max_connection_count"],
    )
    return _halt_state(row), database


def _halt_state(row: Record) -> HaltState:
    return HaltState(row["halted"], row["reason"], row["actor"], row["changed_time"])
