"""Once Halt has answered, nothing commits: no write of any service, and nothing that is done in the background (G8)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import grpc.aio
import pytest
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceStub

from libs.cli.verify import compare
from libs.data import database, pools
from libs.data.errors import Halted
from libs.jobs.job import Job, JobContext
from libs.jobs.settings import JobSettings
from services.claims.__main__ import compose as compose_claims
from services.claims.settings import ClaimsSettings
from services.operations.__main__ import compose as compose_operations
from services.operations.settings import OperationsSettings
from services.operations.worker import all_jobs
from services.petition.__main__ import compose as compose_petition
from services.petition.settings import PetitionSettings
from services.reputation.__main__ import compose as compose_reputation
from services.reputation.settings import ReputationSettings
from services.voting.__main__ import compose as compose_voting
from services.voting.settings import VotingSettings
from tests.concurrency.answers import open_channel
from tests.concurrency.conftest import PATIENT
from tests.concurrency.everybody import Channels, Everybody
from tests.concurrency.service_process import ServiceProcess
from tests.eventually import becomes_true
from tests.servers import channel_to, quick
from tests.services.operations.operators import Operator
from tests.services.operations.under_load import halted_under_load
from tests.services.operations.working import job_context
from tests.stored import Connection

ROWS = """
SELECT (SELECT count(*) FROM petition.petition_submissions) + (SELECT count(*) FROM petition.co_signs)
     + (SELECT count(*) FROM voting.conversations) + (SELECT count(*) FROM voting.opinions)
     + (SELECT count(*) FROM voting.votes) + (SELECT count(*) FROM voting.requests)
     + (SELECT count(*) FROM claims.coupons) + (SELECT count(*) FROM claims.claims)
     + (SELECT count(*) FROM claims.waitlist) + (SELECT count(*) FROM claims.requests)
     + (SELECT count(*) FROM claims.food_posts) + (SELECT count(*) FROM claims.exchanges)
     + (SELECT count(*) FROM petition.requests)
     + (SELECT count(*) FROM reputation.users) + (SELECT count(*) FROM reputation.reputation_events)
     + (SELECT count(*) FROM reputation.group_members) + (SELECT count(*) FROM reputation.requests)
"""
SERVICES = ("petition", "voting", "claims", "reputation", "operations")
# What services do unasked, they do all the time, and holds end while callers are at work.
BUSY = {
    "voting": {"voting_author_votes_seconds": 0.02},
    "claims": {"claims_hold_seconds": 0.2, "claims_expiry_seconds": 0.02},
}
# People whose levels fall one after the other, so that there is always one to write down.
FALLING = """
WITH falling AS (
    INSERT INTO reputation.users (id) SELECT gen_random_uuid() FROM generate_series(1, 3000) RETURNING id
)
INSERT INTO reputation.user_global_reputation (user_id, trust_level, demotion_time)
SELECT id, 'trusted', now() AT TIME ZONE 'UTC' + row_number() OVER () * interval '20 milliseconds' FROM falling
"""
# Done by a worker in another process only: it computes.
COMPUTES = "analysis"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


# -- in this process


@asynccontextmanager
async def one_of_each(database_url: str) -> AsyncIterator[Channels]:
    """Services of each kind that end with the context."""
    claims = quick(ClaimsSettings, database_url, "tally_claims", **BUSY["claims"])
    voting = quick(VotingSettings, database_url, "tally_voting", **BUSY["voting"])
    idle = JobSettings(enabled=False)
    async with (
        channel_to("petition", quick(PetitionSettings, database_url, "tally_petition"), compose_petition) as petition,
        channel_to("voting", voting, compose_voting) as voting_channel,
        channel_to("claims", claims, compose_claims) as claims_channel,
        channel_to(
            "reputation", quick(ReputationSettings, database_url, "tally_reputation"), compose_reputation
        ) as reputation,
        channel_to(
            "operations", quick(OperationsSettings, database_url, "tally_operations", jobs=idle), compose_operations
        ) as operations,
    ):
        yield {
            "petition": [petition],
            "voting": [voting_channel],
            "claims": [claims_channel],
            "reputation": [reputation],
            "operations": [operations],
        }


class Jobs:
    """Every job that computes nothing, over and over, as no timetable would have it."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._jobs = [job for job in all_jobs(OperationsSettings()) if job.name != COMPUTES]
        self.done: Counter[str] = Counter()
        self.halted: Counter[str] = Counter()

    async def run(self) -> None:
        await asyncio.gather(*(self._repeat(job) for job in self._jobs))

    async def _repeat(self, job: Job) -> None:
        while True:
            try:
                await job.work(self._context, "")
                self.done[job.name] += 1
            except Halted:
                self.halted[job.name] += 1
            await asyncio.sleep(0.02)

    async def were_all_halted(self) -> bool:
        return set(self.halted) == {job.name for job in self._jobs}


@pytest.fixture
async def jobs(database_url: str) -> AsyncIterator[Jobs]:
    async with job_context(database_url) as context:
        jobs = Jobs(context)
        running = asyncio.create_task(jobs.run())
        try:
            yield jobs
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def slow_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write is for a while between its look at the flag and its COMMIT, so that there always are some."""
    commit = database._commit

    async def commit_late(connection: pools.Connection) -> None:
        await asyncio.sleep(random.uniform(0.0, 0.05))
        await commit(connection)

    monkeypatch.setattr(database, "_commit", commit_late)


@pytest.mark.usefixtures("slow_commits")
async def test_no_write_of_any_service_and_no_job_commits_after_halt_answered(
    database_url: str, db: Connection, jobs: Jobs
) -> None:
    """G8: 64 callers of every kind of write, the ends of holds, authors' votes and jobs."""
    async with one_of_each(database_url) as channels:
        everybody, operator = Everybody(channels), Operator(OperationsServiceStub(channels["operations"][0]))
        await everybody.prepare()
        await db.execute(FALLING)

        async def while_halted() -> None:
            assert set((await everybody.refused_all()).values()) == {("FAILED_PRECONDITION", "HALTED")}
            assert min((await everybody.read())[:3]) > 0
            await becomes_true(jobs.were_all_halted, within=30)

        for _ in range(2):
            jobs.halted.clear()
            await halted_under_load(operator, everybody.write, ROWS, db, while_halted)
        await operator.halt("over night")
        counts = await everybody.read()
    async with one_of_each(database_url) as channels:
        prepared, operator = everybody, Operator(OperationsServiceStub(channels["operations"][0]))
        everybody = Everybody(channels)
        everybody.take_over(prepared)
        assert await everybody.read() == counts
        assert set((await everybody.refused_all()).values()) == {("FAILED_PRECONDITION", "HALTED")}
        await operator.resume()
        for kind in everybody.writes.values():
            assert (await kind(0)).commit_token
        await nothing_is_left(db)
    survey = await compare(database_url, None, [])
    assert survey.found == 0, survey.model_dump_json(indent=1)
    assert not await db.fetchval("SELECT count(*) FROM operations.counter_repairs")


async def nothing_is_left(db: Connection) -> None:
    """Waits until what the halt held up has been made up for."""

    async def made_up_for() -> bool:
        due: int = await db.fetchval("SELECT count(*) FROM voting.author_votes_due")
        held: int = await db.fetchval("SELECT count(*) FROM claims.exchanges WHERE status = 'pending'")
        return due + held == 0

    await becomes_true(made_up_for, within=60)


# -- in processes of their own


class Fleet:
    """Two processes of each service; those of operations work on jobs."""

    def __init__(self, database_url: str, logs: Path) -> None:
        settings = {name: {key: str(value) for key, value in BUSY.get(name, {}).items()} for name in SERVICES}
        settings["operations"] = {
            "jobs_poll_seconds": "0.1",
            "jobs_heartbeat_seconds": "0.5",
            "jobs_stalled_seconds": "5",
        }
        self.processes = {
            name: [
                ServiceProcess(name, database_url, logs / f"{name}-{n}.log", **PATIENT, **settings[name])
                for n in range(2)
            ]
            for name in SERVICES
        }

    @property
    def all(self) -> list[ServiceProcess]:
        return [process for processes in self.processes.values() for process in processes]

    def start(self) -> None:
        for process in self.all:
            process.start(wait=False)
        for process in self.all:
            process.wait_until_serving()

    def restart(self) -> None:
        """As a power cut would."""
        for process in self.all:
            process.kill()
        self.start()

    def logged(self, name: str, event: str) -> Sequence[dict[str, object]]:
        return [line for process in self.processes[name] for line in process.logged(event)]


@contextmanager
def a_fleet(database_url: str, logs: Path) -> Iterator[Fleet]:
    fleet = Fleet(database_url, logs)
    with ExitStack() as stack:
        for process in fleet.all:
            stack.callback(process.close)
        fleet.start()
        yield fleet


@asynccontextmanager
async def channels_to(fleet: Fleet) -> AsyncIterator[Channels]:
    async with AsyncExitStack() as stack:
        channels: dict[str, list[grpc.aio.Channel]] = {}
        for name, processes in fleet.processes.items():
            channels[name] = [await stack.enter_async_context(open_channel(each.address)) for each in processes]
        yield channels


@pytest.mark.heavy
@pytest.mark.timeout(600)
async def test_nothing_commits_after_halt_answered_where_two_processes_of_each_service_are_at_work(
    database_url: str, db: Connection, tmp_path: Path
) -> None:
    """G8: workers that analyse, reconcile and prune included; and a halt outlives `kill -9` of all of them."""
    with a_fleet(database_url, tmp_path) as fleet:
        async with channels_to(fleet) as channels:
            everybody = Everybody(channels)
            operators = [Operator(OperationsServiceStub(channel)) for channel in channels["operations"]]
            await everybody.prepare()

            async def everything_waits() -> bool:
                return bool(fleet.logged("claims", "expiry_postponed"))

            async def while_halted() -> None:
                assert set((await everybody.refused_all()).values()) == {("FAILED_PRECONDITION", "HALTED")}
                assert min((await everybody.read())[:3]) > 0
                await becomes_true(everything_waits, within=30)

            for n in range(5):
                await db.execute("UPDATE operations.job_timetable SET due_time = now()")
                await halted_under_load(operators[n % 2], everybody.write, ROWS, db, while_halted)
            await operators[0].halt("the power goes")
            counts = await everybody.read()
            await asyncio.to_thread(fleet.restart)
        async with channels_to(fleet) as channels:
            prepared, operator = everybody, Operator(OperationsServiceStub(channels["operations"][1]))
            everybody = Everybody(channels)
            everybody.take_over(prepared)
            assert await everybody.read() == counts
            assert set((await everybody.refused_all()).values()) == {("FAILED_PRECONDITION", "HALTED")}
            await operator.resume()
            for kind in everybody.writes.values():
                assert (await kind(0)).commit_token
            await nothing_is_left(db)

            async def every_job_was_done() -> bool:
                done = {
                    line["job_type"] for line in fleet.logged("operations", "job") if line["outcome"] == "succeeded"
                }
                return done == {job.name for job in all_jobs(OperationsSettings())}

            await becomes_true(every_job_was_done, within=90)
            assert await db.fetchval("SELECT count(*) FROM voting.analyses") > 0
    survey = await compare(database_url, None, [])
    assert survey.found == 0, survey.model_dump_json(indent=1)
