"""All resources of a counter compared with their rows at once, and what differs set right."""

from uuid import uuid4

import pytest

from libs.cli.verify import compare
from libs.data.catalog import COUNTERS
from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION
from libs.data.catalog.voting import OPINION_AGREES, PARTICIPANT_VOTES
from libs.data.database import Database
from libs.data.errors import NotFound
from libs.data.verification import repair, survey, verify
from libs.devstack.errors import DevstackError
from tests.data.opinions import ONE, TWO, USERS, differing, three_conversations
from tests.data.rows import some_petitions
from tests.stored import Connection

SIGN = """
INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, region_code, request_id, signed_time)
SELECT $1, gen_random_uuid(), n, n, $3, gen_random_uuid(), now() FROM generate_series(1, $2) n
"""


async def test_a_survey_names_exactly_the_resources_whose_counter_differs(database: Database, db: Connection) -> None:
    right, wrong, _ = await some_petitions(db, 3)
    await db.execute(SIGN, right, 4, None)
    await db.execute(SIGN, wrong, 3, None)
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 4 WHERE petition_id = $1", right)
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 7 WHERE petition_id = $1", wrong)

    found = await database.read(lambda snapshot: survey(snapshot, CO_SIGNERS))

    assert found.checked == 3
    assert {key: (v.counter, v.counted) for key, v in found.discrepancies.items()} == {(wrong,): (7, 3)}
    asked = await database.read(lambda snapshot: survey(snapshot, CO_SIGNERS, [right]))
    assert (asked.checked, asked.discrepancies) == (1, {})


async def test_a_region_that_was_never_counted_is_found_and_repaired(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    await db.execute(SIGN, petition_id, 2, "DE-BY")
    key = (petition_id, "DE-BY")

    found = await database.read(lambda snapshot: survey(snapshot, CO_SIGNERS_BY_REGION))
    assert {k: (v.counter, v.counted) for k, v in found.discrepancies.items()} == {key: (0, 2)}

    await database.write(lambda tx: repair(tx, CO_SIGNERS_BY_REGION, key))

    assert (await database.read(lambda snapshot: verify(snapshot, CO_SIGNERS_BY_REGION, key))).consistent
    # A reader of events ignores what is not newer: the repair is a version of its own.
    assert await db.fetchval("SELECT version FROM petition.petition_submissions") == 1
    assert await db.fetchval("SELECT version FROM operations.events") == 1


async def test_the_command_repairs_what_it_finds_and_finds_nothing_after(database_url: str, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    await db.execute(SIGN, petition_id, 2, "AT")

    first = await compare(database_url, None, [], repair_found=True)
    assert first.found == 2
    assert all(found.repaired for counter in first.counters for found in counter.discrepancies)
    assert (await compare(database_url, [str(petition_id)], [])).found == 0


async def test_a_row_that_stands_for_itself_is_repaired_with_all_its_counters_and_never_made(
    database: Database, db: Connection
) -> None:
    """G2."""
    opinion, other = (await three_conversations(database, db))[ONE]
    wrong = "UPDATE voting.opinions SET agree_count = $2, disagree_count = $3 WHERE opinion_id = $1"
    await db.execute(wrong, opinion, 9, 8)
    await db.execute(wrong, other, 7, 0)

    found = (await database.write(lambda tx: repair(tx, OPINION_AGREES, (ONE, opinion)))).value

    assert (found.counter, found.counted) == (9, 3)
    assert await differing(database, ONE) == {("voting.opinion_agrees", f"{ONE}/{other}", 7, 3)}
    audited = await db.fetch("SELECT counter, resource_id, counted_value FROM operations.counter_repairs")
    assert {tuple(row) for row in audited} == {
        ("voting.opinion_agrees", f"{ONE}/{opinion}", 3),
        ("voting.opinion_disagrees", f"{ONE}/{opinion}", 0),
    }
    for nothing in ((ONE, uuid4()), (TWO, opinion), (uuid4(), opinion)):
        with pytest.raises(NotFound):
            await database.read(lambda snapshot, key=nothing: verify(snapshot, OPINION_AGREES, key))  # type: ignore[misc]
        with pytest.raises(NotFound):
            await database.write(lambda tx, key=nothing: repair(tx, OPINION_AGREES, key))  # type: ignore[misc]
    assert await db.fetchval("SELECT count(*) FROM voting.opinions") == 6


async def test_the_command_compares_and_repairs_what_is_not_served_too(
    database: Database, database_url: str, db: Connection
) -> None:
    assert not PARTICIPANT_VOTES.served and PARTICIPANT_VOTES.name in COUNTERS
    await three_conversations(database, db)
    await db.execute("DELETE FROM voting.participants WHERE user_id = $1", USERS[0])
    found = await compare(database_url, [str(TWO)], [], repair_found=True)
    wrong = {(c.counter, d.resource_id, d.counted, d.repaired) for c in found.counters for d in c.discrepancies}
    names = ("voting.participant_votes", "voting.participant_visible_votes")
    assert wrong == {(name, f"{TWO}/{USERS[0]}", 2, True) for name in names}
    assert (await compare(database_url, [str(TWO), str(TWO)], [])).found == 0
    checked = {c.counter: c.checked for c in (await compare(database_url, [str(TWO), str(TWO)], [])).counters}
    assert (checked["voting.votes"], checked["voting.opinion_agrees"], checked["voting.participant_votes"]) == (1, 2, 3)


async def test_the_command_refuses_a_counter_or_resource_that_is_not_there(database_url: str, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    await db.execute("DELETE FROM petition.petition_submissions")
    with pytest.raises(DevstackError, match=r"no counter petition\.ordinals counts rows"):
        await compare(database_url, None, ["petition.ordinals"])
    with pytest.raises(DevstackError, match="nothing is counted"):
        await compare(database_url, [str(petition_id)], [])
