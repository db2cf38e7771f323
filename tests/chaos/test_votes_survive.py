"""The service or its Postgres dies while people vote and write opinions."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from libs.devstack.postgres import Cluster
from tests.chaos.conftest import database_on
from tests.chaos.troubles import kill_postmaster
from tests.concurrency.service_process import ServiceProcess, service_process
from tests.concurrency.votes.voters import NUMBERS, VOTES, Told, Voters, a_vote, an_opinion, new_id, voters_of
from tests.eventually import becomes_true
from tests.services.voting.recount import assert_counts_hold
from tests.stored import Connection

CALLERS = 32
# What a caller repeats with the same request until it is answered: nothing was stored, or nobody knows.
AGAIN = {"OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE", "DEADLINE_EXCEEDED", "SHUTTING_DOWN", "NO_ANSWER"}
SETTLES_WITHIN = 40.0
# What a thread starts dies with it, and those of a loop end with its test.
LASTING = ThreadPoolExecutor(1, "starts")


@pytest.fixture(scope="module")
def database(durable_cluster: Cluster) -> Iterator[str]:
    with database_on(durable_cluster) as url:
        yield url


@pytest.fixture(scope="module")
def service(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests of this file: what broke under one of them must not be felt by the next."""
    log = tmp_path_factory.mktemp("voting") / "voting.log"
    limits = {"lock_timeout": "0.5", "statement_timeout": "1", "voting_author_votes_seconds": "0.2"}
    with service_process("voting", database, log, **limits) as service:
        yield service


@pytest.fixture
async def voters(service: ServiceProcess) -> AsyncIterator[Voters]:
    async with voters_of([service.address]) as voters:
        yield voters


class Crowd:
    """Each votes with one user on one opinion over and over, now and then writes one, and repeats what was not answered."""

    def __init__(self, voters: Voters, conversation: str, opinions: list[str]) -> None:
        self._voters = voters
        self._conversation = conversation
        self._opinions = opinions
        self.told: list[Told] = []
        self.failed: set[str] = set()
        self.over = asyncio.Event()

    async def settle(self, rpc: str, request: object) -> Told:
        """Until the request has an answer that stays."""
        give_up = asyncio.get_running_loop().time() + SETTLES_WITHIN
        while True:
            told = await self._voters.tell(rpc, request, deadline=3.0)
            if told.ok:
                self.told.append(told)
                return told
            assert told.reason in AGAIN, told
            assert asyncio.get_running_loop().time() < give_up, told
            self.failed.add(told.reason)
            await asyncio.sleep(0.02)

    async def keep_on(self, caller: int) -> tuple[str, str, int]:
        """The caller's opinion and user, and the vote acknowledged last."""
        user, n = new_id(), caller
        opinion = self._opinions[caller % len(self._opinions)]
        while True:
            n += 1
            if n % 7 == 0:
                await self.settle("CreateOpinion", an_opinion(self._conversation))
            told = await self.settle("CastVote", a_vote(self._conversation, opinion, VOTES[n % 3], user))
            if self.over.is_set():
                return opinion, user, NUMBERS[told.request.vote]

    async def enough(self, more: int) -> None:
        wanted = len(self.told) + more

        async def reached() -> bool:
            return len(self.told) >= wanted

        await becomes_true(reached, within=30.0)


@pytest.mark.parametrize("what", ["service", "database"])
async def test_what_dies_under_voters_loses_no_acknowledged_vote_and_casts_each_authors_vote_once(
    service: ServiceProcess, voters: Voters, database: str, durable_cluster: Cluster, what: str
) -> None:
    """G1, G2, G5: kill -9 of the service, or of Postgres, in mid-burst; requests are repeated until they are answered."""
    loop = asyncio.get_running_loop()
    conversation = await voters.conversation()
    opinions = await voters.opinions(conversation, 4)
    crowd = Crowd(voters, conversation, opinions)
    callers = [asyncio.create_task(crowd.keep_on(caller)) for caller in range(CALLERS)]
    await crowd.enough(100)
    if what == "service":
        service.kill()
        await loop.run_in_executor(LASTING, service.start)
    else:
        await loop.run_in_executor(LASTING, kill_postmaster, durable_cluster)
    await crowd.enough(200)
    crowd.over.set()
    last = await asyncio.gather(*callers)
    assert crowd.failed, "nobody noticed"
    connection = await asyncpg.connect(database)
    try:
        await assert_all_stored(connection, crowd, uuid.UUID(conversation), last)
    finally:
        await connection.close()
    await assert_counts_hold(database, uuid.UUID(conversation))


async def assert_all_stored(
    db: Connection, crowd: Crowd, conversation_id: uuid.UUID, last: list[tuple[str, str, int]]
) -> None:
    created = {told.response.opinion.opinion_id: told for told in crowd.told if hasattr(told.response, "opinion")}
    assert created, "nobody wrote an opinion"

    async def no_vote_is_due() -> bool:
        due = "SELECT count(*) FROM voting.author_votes_due WHERE conversation_id = $1"
        return not await db.fetchval(due, conversation_id)

    await becomes_true(no_vote_is_due, within=20.0)
    rows = await db.fetch(
        "SELECT user_id, opinion_id, vote FROM voting.votes WHERE conversation_id = $1", conversation_id
    )
    stored = {(str(row["opinion_id"]), str(row["user_id"])): row["vote"] for row in rows}
    assert len(stored) == len(rows)
    for opinion, user, vote in last:
        assert stored[opinion, user] == vote
    for opinion, told in created.items():
        assert stored[opinion, told.request.author_id] == 1
    # Nobody but the callers and the authors: of opinions, those whose request never was answered cannot be.
    opinions = await db.fetchval("SELECT count(*) FROM voting.opinions WHERE conversation_id = $1", conversation_id)
    assert opinions == len(created) + 4
    assert len(rows) == len(last) + opinions
