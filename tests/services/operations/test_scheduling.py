"""What makes jobs due: events, and the clock."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from libs.data.database import Database
from libs.data.errors import Halted
from libs.data.events import Event, StoredEvent
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction
from libs.jobs.job import Due, Job, JobContext
from libs.jobs.settings import JobSettings
from services.operations.scheduling import Scheduling
from tests.eventually import becomes_true
from tests.jobs.workshop import Workshop
from tests.services.operations.operators import operations_service
from tests.services.voting.conversations import DISAGREE, voting_service
from tests.stored import Connection, halt, resume


async def no_work(context: JobContext, key: str) -> None: ...


def follows(event: StoredEvent) -> Due | None:
    return Due(event.aggregate_id, event.payload["pause"]) if event.kind == "thing.happened" else None


FOLLOWING = Job("following", no_work, follows=follows)
HOURLY = Job("hourly", no_work, every=3600.0)


@pytest.fixture
async def workshop(database_url: str, db: Connection) -> AsyncIterator[Workshop]:
    settings = DatabaseSettings(database_url=database_url, database_role="tally_operations")
    async with Database.open(settings) as database:
        yield Workshop(settings, database, db)


async def happen(tx: Transaction, key: str, times: int = 1, kind: str = "thing.happened", pause: float = 0.0) -> None:
    await tx.fetchval("SELECT pg_current_xact_id()")
    tx.emit([Event(kind, key, n, {"pause": pause}) for n in range(times)])


async def happened(workshop: Workshop, key: str, **what: object) -> None:
    """Something happens, and nothing older is still to be seen."""
    await workshop.database.write(partial(happen, key=key, **what))  # type: ignore[arg-type]
    newest = await workshop.db.fetchval("SELECT max(xid)::text::bigint FROM operations.events")

    async def is_seen() -> bool:
        xmin: int = await workshop.db.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return bool(xmin > newest)

    await becomes_true(is_seen, 30)


def scheduling(workshop: Workshop, *jobs: Job) -> Scheduling:
    return Scheduling(workshop.database, jobs or (FOLLOWING,), 0.05)


async def test_an_event_makes_its_job_due_once_and_others_make_none(workshop: Workshop) -> None:
    await happened(workshop, "a", times=3)
    await happened(workshop, "b", kind="thing.passed")
    looking = scheduling(workshop)
    await looking.round()
    await looking.round()
    assert await workshop.states("following") == {"todo": 1}
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'succeeded'")
    await looking.round()
    assert await workshop.states("following") == {"succeeded": 1}


async def test_what_happened_while_nobody_looked_is_seen_later_and_what_was_seen_is_not_again(
    workshop: Workshop,
) -> None:
    await happened(workshop, "a")
    await scheduling(workshop).round()
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'succeeded'")
    await happened(workshop, "b")
    await scheduling(workshop).round()
    assert await workshop.states("following") == {"succeeded": 1, "todo": 1}


async def test_a_job_waits_as_long_as_its_event_says_and_the_least_of_those_at_once(workshop: Workshop) -> None:
    await happened(workshop, "a", pause=1000.0)
    await happened(workshop, "a", pause=20.0)
    await scheduling(workshop).round()
    seconds = await workshop.db.fetchval(
        "SELECT extract(epoch FROM scheduled_at - now())::float8 FROM jobs.procrastinate_jobs"
    )
    assert 0 < seconds <= 20.0


async def test_processes_that_look_at_the_same_events_make_each_job_due_once(workshop: Workshop) -> None:
    looking = [scheduling(workshop) for _ in range(5)]
    for each in looking:
        await each.round()
    for key in ("a", "b"):
        await happened(workshop, key)
        for each in looking:
            await each.round()
            await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'succeeded'")
    assert await workshop.states("following") == {"succeeded": 2}
    await happened(workshop, "c")
    await asyncio.gather(*(each.round() for each in looking))
    assert await workshop.states("following") == {"succeeded": 2, "todo": 1}


async def test_the_clock_makes_a_job_due_once_an_interval_however_many_look(workshop: Workshop) -> None:
    looking = [scheduling(workshop, HOURLY) for _ in range(3)]
    await asyncio.gather(*(each.round() for each in looking))
    assert await workshop.states("hourly") == {"todo": 1}
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'succeeded'")
    await asyncio.gather(*(each.round() for each in looking))
    assert await workshop.states("hourly") == {"succeeded": 1}
    await workshop.db.execute("UPDATE operations.job_timetable SET due_time = now()")
    await asyncio.gather(*(each.round() for each in looking))
    assert await workshop.states("hourly") == {"succeeded": 1, "todo": 1}


async def test_nothing_is_queued_while_writes_are_halted_and_nothing_missed_after_resume(workshop: Workshop) -> None:
    looking = scheduling(workshop)
    await looking.round()
    await happened(workshop, "a")
    await halt(workshop.db)
    with pytest.raises(Halted):
        await looking.round()
    assert await workshop.states("following") == {}
    await resume(workshop.db)
    await looking.round()
    assert await workshop.states("following") == {"todo": 1}


async def test_a_stream_that_went_back_is_followed_from_its_end(workshop: Workshop) -> None:
    await workshop.db.execute("UPDATE operations.job_cursor SET xid = '1000000000000'")
    looking = scheduling(workshop)
    await looking.round()
    await happened(workshop, "a")
    await looking.round()
    assert await workshop.states("following") == {"todo": 1}


async def test_a_vote_leads_to_an_analysis_by_itself(workshop: Workshop, database_url: str) -> None:
    jobs = JobSettings(poll_seconds=0.05, follow_seconds=0.05)
    async with voting_service(database_url) as voting, operations_service(database_url, jobs=jobs):
        opinion = await voting.an_opinion()
        await voting.voted_by(opinion, 3)

        async def analysed() -> bool:
            votes = await workshop.db.fetchval("SELECT max(vote_count) FROM voting.analyses")
            return bool(votes == 4)

        await becomes_true(analysed, 60)
        await voting.vote(opinion, DISAGREE)

        async def again() -> bool:
            votes = await workshop.db.fetchval("SELECT max(vote_count) FROM voting.analyses")
            return bool(votes == 5)

        await becomes_true(again, 60)
