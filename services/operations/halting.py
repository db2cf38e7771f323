"""What Halt promises beyond its flag: once it answers, no further write commits (G8)."""

import asyncio

from libs.data.commit_tokens import decode_token
from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.deadlines import remaining_seconds
from libs.data.errors import DeadlineExceeded, TallyError
from services.operations import store
from services.operations.errors import WritesMayStillRun, WritesStillRun

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.05
# Kept back from the request's deadline, in seconds, for a last look and the answer.
MARGIN = 0.2


async def writes_ended(database: Database) -> None:
    """Returns when every write that could have missed the flag, committed before this was called, has ended.

    Every write reads the flag after its transaction id was assigned. One that missed it read it before the flag was
    committed, so its id is smaller than one assigned now. `pg_snapshot_xmax` is no such bound: it is one past the last
    transaction that *ended*, and a write that still runs can be above it.

    Raises:
        WritesStillRun: the deadline came first.
        WritesMayStillRun: the database did not answer.
    """
    try:
        bound = (await database.write(store.begin_and_end, while_halted=True)).token
        assert bound is not None
        pause = SHORTEST_PAUSE
        while await database.read(store.horizon, PRIMARY) <= decode_token(bound):
            remaining = remaining_seconds()
            if remaining is not None and remaining < MARGIN + pause:
                raise WritesStillRun
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
    except WritesStillRun:
        raise
    except DeadlineExceeded as error:
        raise WritesStillRun from error
    except TallyError as error:
        raise WritesMayStillRun from error
