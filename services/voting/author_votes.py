"""Casts authors' votes on new opinions that no process is about to cast: the one that would have, died.

Every process does it: under the conversation's lock only one finds the vote still due.
"""

import asyncio
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import TallyError
from libs.telemetry.instruments import counter
from services.voting.casting import Casting
from services.voting.store import author_votes_due

log = structlog.get_logger(__name__)

LATE = counter("tally.voting.late_author_votes", "{vote}", "Authors' votes cast after the call that added the opinion.")

AT_ONCE = 500
# Seconds a vote is left to the process that added the opinion.
GRACE = 2.0


class AuthorVotes:
    """A background task of the voting service."""

    def __init__(self, database: Database, casting: Casting, interval_seconds: float) -> None:
        self._database = database
        self._casting = casting
        self._interval = interval_seconds

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again."""
        while True:
            try:
                await self.round()
            except TallyError as error:
                log.warning("author_votes_postponed", reason=error.reason)
            await asyncio.sleep(self._interval)

    async def round(self, grace: float = GRACE) -> int:
        """Casts every vote that has been due for `grace` seconds; how many that were."""
        done = 0
        while True:
            due = await self._database.read(partial(author_votes_due, older_than=grace, limit=AT_ONCE), PRIMARY)
            cast = await self._casting.cast_due(due)
            LATE.add(cast)
            done += cast
            if len(due) < AT_ONCE or not cast:
                return done
