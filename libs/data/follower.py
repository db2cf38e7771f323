"""Follows the stream of committed events: each event once, in order, and how up to date that is.

The stream is polled, because a NOTIFY in a write transaction would take a lock of the whole database at its commit: often
while there is news, less often while there is none, and at once when somebody waits.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog

from libs.data.commit_tokens import CommitToken, encode_token
from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.deadlines import current_deadline
from libs.data.errors import Internal, TallyError, Unavailable
from libs.data.events import Cursor, Page, StoredEvent, read_page, start_cursor

log = structlog.get_logger(__name__)

POLL_DEADLINE = 5.0
# Whoever has not looked for so long may have missed events: they are kept for an hour at least (`operations.prune_events`).
LONGEST_SILENCE = timedelta(minutes=30)
MOST_LOOKS = 64


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far something reflects what was committed.

    Args:
        horizon: every transaction with a smaller xid is reflected.
        as_of_time: everything committed up to this moment of the database's clock is reflected.
        begun: `time.monotonic()` at, or just before, that moment: ages are measured from here, by one clock.
        token: stands for the last transaction below the horizon.
    """

    horizon: int
    as_of_time: datetime
    begun: float
    token: CommitToken

    @classmethod
    def at(cls, horizon: int, as_of_time: datetime, begun: float) -> "Watermark":
        return cls(horizon, as_of_time, begun, encode_token(horizon - 1))


class _Look(NamedTuple):
    ceiling: int
    as_of_time: datetime
    begun: float


class _Looks:
    """When the database was looked at, to tell what moment a horizon stands for.

    While a transaction is open, others with larger xids commit unseen, so the horizon of a look is not as new as the look
    itself. Whatever was not seen has an xid of at least the horizon; it committed after any look whose ceiling is not above
    the horizon. The last such look is the moment.
    """

    def __init__(self, first: Page, begun: float) -> None:
        # Nothing is known of older moments, and nobody reads what was there before the first look.
        self._looks = [_Look(0, first.as_of_time, begun)]

    def watermark(self, page: Page, begun: float) -> Watermark:
        looks = self._looks
        if looks[-1].ceiling == page.ceiling:
            looks.pop()  # nothing ended in between: the newer look says the same of a later moment
        looks.append(_Look(page.ceiling, page.as_of_time, begun))
        while len(looks) > 1 and looks[1].ceiling <= page.horizon:
            looks.pop(0)
        if len(looks) > MOST_LOOKS:
            del looks[1:-1:2]
        return Watermark.at(page.horizon, looks[0].as_of_time, looks[0].begun)


class Follower:
    """One reader of the stream, starting at its end.

    Args:
        apply: given the events of each page, in order; must not fail, and must not wait.
        reset: called when events may have been missed, because the database turns out to be another one (restored, or made
            anew) or was not heard of for long: all that was learned is void.
        fast, slow: seconds between polls while there are events, and after a while without any.
    """

    def __init__(
        self,
        database: Database,
        apply: Callable[[Sequence[StoredEvent]], None],
        reset: Callable[[], None],
        *,
        fast: float = 0.1,
        slow: float = 0.25,
    ) -> None:
        self._database = database
        self._apply = apply
        self._reset = reset
        self._fast = fast
        self._slow = slow
        self._cursor: Cursor | None = None
        self._heard_of: datetime | None = None
        self._looks: _Looks | None = None
        self._wanted = asyncio.Event()
        self._asked: asyncio.Future[None] | None = None
        self.ceiling = 0
        self.watermark: Watermark | None = None

    @property
    def lag_seconds(self) -> float:
        """How long ago everything committed was known here; 0 before the start."""
        return time.monotonic() - self.watermark.begun if self.watermark else 0.0

    async def run(self) -> None:
        """Until cancelled; a poll that fails is tried again."""
        await asyncio.create_task(self._follow(), context=Context())

    async def catch_up(self) -> None:
        """Returns after a poll that began after this call; those who ask together share one.

        Raises:
            TallyError: the poll failed.
        """
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            self._asked.add_done_callback(_retrieve)
        self._wanted.set()
        await asyncio.shield(self._asked)

    async def started(self) -> Watermark:
        """The watermark as it is, or the first one as soon as there is one.

        Raises:
            TallyError: there is none yet, and the database does not answer.
        """
        if self.watermark is None:
            await self.catch_up()
        assert self.watermark is not None
        return self.watermark

    async def _follow(self) -> None:
        pause = self._fast
        while True:
            asked, self._asked = self._asked, None
            self._wanted.clear()
            try:
                news = await self._poll()
            except Exception as error:
                if not isinstance(error, TallyError):
                    log.exception("event_stream_stuck", cursor=self._cursor)
                pause = self._slow
                if asked is not None:
                    asked.set_exception(error if isinstance(error, TallyError) else Internal())
            except asyncio.CancelledError:
                if asked is not None:
                    asked.set_exception(Unavailable("the server is shutting down"))
                raise
            else:
                pause = self._fast if news else min(pause * 1.5, self._slow)
                if asked is not None:
                    asked.set_result(None)
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    async def _poll(self) -> bool:
        """Reads all there is below the horizon; whether there was anything."""
        current_deadline.set(time.monotonic() + POLL_DEADLINE)
        begun = time.monotonic()
        if self._cursor is None or self._looks is None:
            first = await self._database.read(start_cursor, PRIMARY)
            self._looks = _Looks(first, begun)
            self._finish(first, begun)
            return False
        news = False
        while True:
            begun = time.monotonic()
            page = await self._database.read(partial(read_page, cursor=self._cursor), PRIMARY)
            if self._missed_some(page):
                self._cursor = self.watermark = None
                self._reset()
                return await self._poll()
            self._apply(page.events)
            self._cursor, self._heard_of = page.cursor, page.as_of_time
            news = news or bool(page.events)
            if page.complete:
                self._finish(page, begun)
                return news

    def _missed_some(self, page: Page) -> bool:
        """Whether there may be events before the page's that nobody will be told of."""
        assert self._cursor is not None and self._heard_of is not None
        silence = page.as_of_time - self._heard_of
        if page.horizon <= self._cursor.xid:
            log.error("event_stream_went_back", cursor=self._cursor.xid, horizon=page.horizon)
        elif silence > LONGEST_SILENCE:
            log.error("event_stream_was_silent", seconds=silence.total_seconds())
        else:
            return False
        return True

    def _finish(self, page: Page, begun: float) -> None:
        assert self._looks is not None
        self._cursor, self._heard_of = page.cursor, page.as_of_time
        self.ceiling = page.ceiling
        self.watermark = self._looks.watermark(page, begun)


def _retrieve(future: "asyncio.Future[None]") -> None:
    """Nobody may be left to hear of a failure; that is no reason for asyncio to complain."""
    if not future.cancelled():
        future.exception()
