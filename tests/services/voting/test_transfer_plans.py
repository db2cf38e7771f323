"""What importing and exporting read of a conversation whose tables no statistics have been taken of yet."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql as literals

from libs.data import pools
from libs.data.settings import DatabaseSettings
from services.voting import store_export, store_import
from tests.stored import Connection

CONVERSATION = UUID(int=1)
PEOPLE, OPINIONS, ASKED = 60, 40, 20
# As an import leaves them behind that is faster than autovacuum.
FILL = f"""
ALTER TABLE voting.votes SET (autovacuum_enabled = false);
ALTER TABLE voting.opinions SET (autovacuum_enabled = false);
ALTER TABLE voting.participants SET (autovacuum_enabled = false);
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
SELECT '{CONVERSATION}', md5('opinion ' || n)::uuid, md5('person 1')::uuid, 'Fair', 'accepted', now()
FROM generate_series(1, {OPINIONS}) n;
INSERT INTO voting.participants (conversation_id, user_id)
SELECT '{CONVERSATION}', md5('person ' || n)::uuid FROM generate_series(1, {PEOPLE}) n;
INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT conversation_id, user_id, opinion_id, 1, now() FROM voting.opinions JOIN voting.participants USING (conversation_id)
"""


@pytest.mark.parametrize(
    ("statement", "most"),
    [
        pytest.param(store_import.POLLS, ASKED, id="opinions that come"),
        pytest.param(store_import.PEOPLE, ASKED, id="people that come"),
        pytest.param(store_import.VOTES, ASKED, id="votes that come"),
        pytest.param(store_export.OPINIONS, OPINIONS, id="opinions that go"),
        pytest.param(store_export.VOTES, PEOPLE * OPINIONS, id="votes that go"),
    ],
)
async def test_no_step_of_a_plan_sees_more_than_was_asked_for(
    db: Connection, database_url: str, statement: str, most: int
) -> None:
    await db.execute(FILL)
    asked = await db.fetch(
        "SELECT DISTINCT ON (opinion_id) opinion_id, user_id FROM voting.votes ORDER BY opinion_id, user_id LIMIT $1",
        ASKED,
    )
    ids = {"opinion_id": [row["opinion_id"] for row in asked], "user_id": [row["user_id"] for row in asked]}
    arguments: list[object] = [[CONVERSATION] * ASKED]
    if statement in (store_export.VOTES, store_export.OPINIONS):
        arguments = [CONVERSATION]
    elif statement == store_import.VOTES:
        arguments += [ids["user_id"], ids["opinion_id"]]
    else:
        arguments += [ids["opinion_id" if statement == store_import.POLLS else "user_id"]]
    nodes = list(_nodes(await _plan(database_url, statement, arguments)))
    passed = [
        (node["Actual Rows"] + sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Join Filter")))
        * node["Actual Loops"]
        for node in nodes
    ]
    assert max(passed) == most


async def _plan(url: str, statement: str, arguments: list[object]) -> dict[str, Any]:
    """As it ran on a connection of the services'."""
    pool = await pools.open_pool(url, DatabaseSettings(database_url=url), 1)
    async with pool, pool.acquire() as connection:
        given = ", ".join(literals.Literal(argument).as_string(None) for argument in arguments)
        await connection.execute(f"PREPARE asked AS {statement}")
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({given})")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)
