"""What is due: how far the event stream was looked at, and the timetable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.data.events import Cursor, Page, read_page, start_cursor
from libs.data.transaction import Snapshot, Transaction
from libs.jobs.queueing import enqueue

CURSOR = "SELECT xid::text::bigint AS xid, position FROM operations.job_cursor"
LOCK_CURSOR = f"{CURSOR} FOR NO KEY UPDATE"
SET_CURSOR = "UPDATE operations.job_cursor SET xid = $1::text::xid8, position = $2"
OVERDUE = "SELECT job_type FROM operations.job_timetable WHERE job_type = ANY($1) AND due_time <= clock_timestamp()"
ADD_TO_TIMETABLE = """
INSERT INTO operations.job_timetable (job_type, due_time) SELECT job_type, clock_timestamp() FROM unnest($1::text[]) job_type
ON CONFLICT (job_type) DO NOTHING
"""
TAKE_FROM_TIMETABLE = """
UPDATE operations.job_timetable t SET due_time = clock_timestamp() + every * interval '1 second'
FROM unnest($1::text[], $2::float8[]) AS declared (job_type, every)
WHERE t.job_type = declared.job_type AND t.due_time <= clock_timestamp()
RETURNING t.job_type
"""


@dataclass(frozen=True, slots=True)
class DueByEvent:
    """A job that an event makes due, and the seconds to wait before it begins."""

    cursor: Cursor
    job_type: str
    key: str
    pause: float


@dataclass(frozen=True, slots=True)
class News:
    """A page of the event stream, and the job types that the timetable has for now."""

    page: Page
    overdue: Sequence[str]


async def stored_cursor(snapshot: Snapshot) -> Cursor:
    row = await snapshot.fetchrow(CURSOR)
    assert row is not None, "operations.job_cursor has lost its row"
    return Cursor(row["xid"], row["position"])


async def news(snapshot: Snapshot, cursor: Cursor, types: Sequence[str]) -> News:
    """What happened after the cursor; where the stream is behind it (another database), from the stream's end on."""
    page = await read_page(snapshot, cursor)
    overdue = await snapshot.fetch(OVERDUE, list(types)) if types else []
    return News(page, [row["job_type"] for row in overdue])


async def stream_end(snapshot: Snapshot) -> Cursor:
    return (await start_cursor(snapshot)).cursor


async def add_to_timetable(tx: Transaction, types: Sequence[str]) -> None:
    """Has these types due at once, unless the timetable has them already."""
    await tx.execute(ADD_TO_TIMETABLE, list(types))


async def queue_due(tx: Transaction, due: Sequence[DueByEvent], cursor: Cursor, every: Mapping[str, float]) -> int:
    """Queues what is due and moves the cursor, all or nothing; answers how many jobs did not wait already.

    What another process queued meanwhile, up to where it moved the cursor, is not queued again.

    Args:
        cursor: every event up to it is in `due` that makes something due, if it is after the stored cursor.
        every: seconds from one run to the next of what the timetable may have due, by job type.
    """
    row = await tx.fetchrow(LOCK_CURSOR)
    assert row is not None, "operations.job_cursor has lost its row"
    stored = Cursor(row["xid"], row["position"])
    wanted: dict[tuple[str, str], float] = {}
    for item in due:
        if item.cursor > stored:
            key = (item.job_type, item.key)
            wanted[key] = min(item.pause, wanted.get(key, item.pause))
    if every:
        for row in await tx.fetch(TAKE_FROM_TIMETABLE, list(every), list(every.values())):
            wanted[row["job_type"], ""] = 0.0
    if cursor > stored:
        await tx.execute(SET_CURSOR, str(cursor.xid), cursor.position)
    return await enqueue(tx, wanted)


async def set_cursor(tx: Transaction, cursor: Cursor) -> None:
    """Moves the cursor wherever it stood."""
    await tx.execute(SET_CURSOR, str(cursor.xid), cursor.position)
