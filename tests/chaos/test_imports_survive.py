"""An import whose service or command is killed in the middle, and that is simply started again."""

import asyncio
import csv
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import pytest

from libs.cli.callers.generated import GeneratedConversation
from libs.cli.polis_export import COMMENT_HEADER, VOTE_HEADER
from libs.devstack.settings import SOURCE_ROOT
from tests.concurrency.service_process import ServiceProcess, service_process
from tests.concurrency.votes.voters import NUMBERS
from tests.eventually import becomes_true
from tests.services.voting.recount import assert_counts_hold
from tests.stored import Connection

DEBATE = GeneratedConversation("", opinions=200, votes=30_000, people=1_000)
OPINIONS = "SELECT external_id, body FROM voting.opinions WHERE conversation_id = $1"
VOTES = "SELECT user_id, opinion_id, vote FROM voting.votes WHERE conversation_id = $1"


@pytest.fixture(scope="module")
def service(own_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with service_process("voting", own_database, tmp_path_factory.mktemp("voting") / "voting.log") as service:
        yield service


@pytest.fixture
async def db(own_database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(own_database)
    yield connection
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The debate in the files that Polis exports."""
    with (tmp_path / "comments.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COMMENT_HEADER)
        for o in DEBATE.all_opinions():
            rows.writerow((o.created_time.seconds * 1000, "", o.external_id, o.author_external_id, 0, 0, 0, o.body))
    with (tmp_path / "votes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(VOTE_HEADER)
        for v in DEBATE.all_votes():
            time = v.vote_time.seconds * 1000
            rows.writerow((time, "", v.opinion_external_id, v.participant_external_id, NUMBERS[v.vote]))
    return tmp_path


async def the_command(folder: Path, service: ServiceProcess, external_id: str) -> Process:
    words = ("import-polis", str(folder), "--address", service.address, "--external-id", external_id, "--json")
    command = (sys.executable, "-m", "libs.cli.main", *words)
    return await asyncio.create_subprocess_exec(*command, cwd=SOURCE_ROOT, stdout=PIPE, stderr=PIPE)


@pytest.mark.parametrize("what", ["service", "command"])
async def test_an_import_that_was_killed_in_the_middle_is_taken_up_by_importing_again(
    service: ServiceProcess, own_database: str, db: Connection, folder: Path, what: str
) -> None:
    """G1, G2: what was stored by then stays and changes nothing; in the end there is what one import would have left."""
    external_id = f"https://tally.example/{what}"
    conversation_id = uuid5(NAMESPACE_URL, external_id)

    async def votes_are_in() -> bool:
        return bool(await db.fetchval(f"SELECT EXISTS ({VOTES})", conversation_id))

    importing = await the_command(folder, service, external_id)
    await becomes_true(votes_are_in, within=60.0)
    service.kill() if what == "service" else importing.kill()
    _, complaint = await importing.communicate()
    assert importing.returncode
    if what == "service":
        assert b"what was stored stays" in complaint
        service.start()
    assert 0 < len(await db.fetch(VOTES, conversation_id)) < DEBATE.votes, "it was killed too late"
    await assert_counts_hold(own_database, conversation_id)

    again = await the_command(folder, service, external_id)
    answer, complaint = await again.communicate()
    assert again.returncode == 0, complaint
    report = json.loads(answer)
    assert report["complete"] and 0 < report["unchanged"] < report["sent"] == DEBATE.opinions + DEBATE.votes
    stored = {(row["user_id"], row["opinion_id"], row["vote"]) for row in await db.fetch(VOTES, conversation_id)}
    assert stored == votes_of(conversation_id) and report["vote_count"] == len(stored)
    assert {tuple(row) for row in await db.fetch(OPINIONS, conversation_id)} == {
        (opinion.external_id, opinion.body) for opinion in DEBATE.all_opinions()
    }
    await assert_counts_hold(own_database, conversation_id)


def votes_of(conversation_id: UUID) -> set[tuple[UUID, UUID, int]]:
    """Those of the debate under the ids they have here."""
    people = {str(n): uuid5(conversation_id, f"participant:{n}") for n in range(DEBATE.people)}
    opinions = {str(n): uuid5(conversation_id, f"opinion:{n}") for n in range(DEBATE.opinions)}
    return {
        (people[vote.participant_external_id], opinions[vote.opinion_external_id], NUMBERS[vote.vote])
        for vote in DEBATE.all_votes()
    }
