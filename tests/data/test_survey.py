"""All resources of a counter compared with their rows at once, and what differs set right."""

import pytest

from libs.cli.verify import compare
from libs.data.catalog import CO_SIGNERS, CO_SIGNERS_BY_REGION
from libs.data.database import Database
from libs.data.verification import repair, survey, verify
from libs.devstack.errors import DevstackError
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


async def test_the_command_refuses_a_counter_or_resource_that_is_not_there(database_url: str, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    await db.execute("DELETE FROM petition.petition_submissions")
    with pytest.raises(DevstackError, match=r"no counter petition\.ordinals counts rows"):
        await compare(database_url, None, ["petition.ordinals"])
    with pytest.raises(DevstackError, match="nothing is counted"):
        await compare(database_url, [str(petition_id)], [])
