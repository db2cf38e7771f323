"""Each service's role can do what its service does, and nothing to what is another's."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.stored import Connection

ROLES = ("tally_petition", "tally_voting", "tally_claims", "tally_reputation", "tally_aggregator", "tally_operations")
WRITERS = ["tally_petition", "tally_voting", "tally_claims", "tally_reputation"]


@pytest.fixture
async def as_role(db: Connection) -> AsyncIterator[Connection]:
    yield db
    await db.execute("RESET ROLE")


async def rights(db: Connection, role: str) -> dict[str, set[str]]:
    """What a role may do to each table of each schema of Tally's."""
    rows = await db.fetch(
        """
        SELECT format('%I.%I', schemaname, tablename) AS name, privilege
        FROM pg_tables, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
        WHERE schemaname IN ('petition', 'voting', 'claims', 'reputation', 'operations')
          AND has_schema_privilege($1, schemaname, 'USAGE')
          AND has_table_privilege($1, format('%I.%I', schemaname, tablename), privilege)
        """,
        role,
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).add(row["privilege"])
    return found


@pytest.mark.parametrize("role", WRITERS)
async def test_a_service_that_writes_cannot_lift_a_halt_or_write_what_is_operations(db: Connection, role: str) -> None:
    allowed = await rights(db, role)
    assert allowed["operations.halt"] == {"SELECT"}
    assert allowed["operations.events"] == {"INSERT", "SELECT"}
    assert allowed["operations.counter_repairs"] <= {"INSERT", "SELECT"}
    assert "operations.halt_log" not in allowed
    assert "operations.requests" not in allowed


@pytest.mark.parametrize("role", WRITERS)
async def test_what_is_known_of_counters_is_written_by_those_who_compare_them_and_never_changed(
    db: Connection, role: str
) -> None:
    allowed = await rights(db, role)
    assert allowed["operations.counter_discrepancies"] == {"SELECT", "INSERT", "DELETE"}
    assert allowed["operations.reconciliation_rounds"] == {"SELECT", "INSERT", "UPDATE"}
    of_operations = await rights(db, "tally_operations")
    assert of_operations["operations.counter_discrepancies"] == {"SELECT"}
    assert "DELETE" not in of_operations["operations.events"]


async def test_signatures_are_never_changed_and_escalations_never_taken_back(db: Connection) -> None:
    allowed = await rights(db, "tally_petition")
    assert allowed["petition.co_signs"] == {"SELECT", "INSERT", "DELETE"}
    assert allowed["petition.removed_co_signs"] == {"SELECT", "INSERT"}
    assert allowed["petition.escalations"] == {"SELECT", "INSERT"}
    assert allowed["petition.petition_submissions"] == {"SELECT", "INSERT", "UPDATE"}


async def test_claims_steps_and_ratings_are_never_changed_and_nothing_of_claims_is_deleted(db: Connection) -> None:
    allowed = await rights(db, "tally_claims")
    for table in ("claims", "exchange_steps", "ratings"):
        assert allowed[f"claims.{table}"] == {"SELECT", "INSERT"}
    for table in ("coupons", "waitlist", "food_posts", "exchanges", "requests"):
        assert allowed[f"claims.{table}"] == {"SELECT", "INSERT", "UPDATE"}


async def test_what_moderators_did_is_never_changed_and_no_conversation_or_opinion_is_deleted(db: Connection) -> None:
    allowed = await rights(db, "tally_voting")
    assert allowed["voting.moderation"] == {"SELECT", "INSERT"}
    for table in ("conversations", "opinions", "participants", "requests", "analyses"):
        assert allowed[f"voting.{table}"] == {"SELECT", "INSERT", "UPDATE"}
    for table in ("votes", "past_votes", "author_votes_due"):
        assert allowed[f"voting.{table}"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}


async def test_no_event_of_a_ledger_is_deleted_and_what_changed_in_a_group_stays_as_it_was(db: Connection) -> None:
    """G10: of an event that is stored, only what takes it back is written."""
    allowed = await rights(db, "tally_reputation")
    assert allowed["reputation.reputation_events"] == {"SELECT", "INSERT"}
    writable = await db.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'reputation.reputation_events'::regclass AND attnum > 0 "
        "AND has_column_privilege('tally_reputation', attrelid, attnum, 'UPDATE')"
    )
    assert [row[0] for row in writable] == ["reversed_by_event_id"]
    for table in ("group_member_changes", "mode_transition_events"):
        assert allowed[f"reputation.{table}"] == {"SELECT", "INSERT"}
    for table in ("users", "user_global_reputation", "daily_impacts", "event_stream_checkpoints", "requests"):
        assert allowed[f"reputation.{table}"] == {"SELECT", "INSERT", "UPDATE"}


async def test_services_that_write_have_no_business_with_each_other(db: Connection) -> None:
    areas = ("petition", "voting", "claims", "reputation")
    for area in areas:
        allowed = await rights(db, f"tally_{area}")
        others = tuple(f"{other}." for other in areas if other != area)
        assert allowed and not [table for table in allowed if table.startswith(others)]


async def test_the_aggregator_writes_nothing(db: Connection) -> None:
    allowed = await rights(db, "tally_aggregator")
    assert set().union(*allowed.values()) == {"SELECT"}
    assert "petition.co_signs" not in allowed, "it serves counters and has no business with who signed"
    of_claims = {table for table in allowed if table.startswith("claims.")}
    assert of_claims == {"claims.coupons", "claims.food_posts"}, "nor with who has what"
    of_voting = {table for table in allowed if table.startswith("voting.")}
    assert of_voting == {"voting.conversations", "voting.opinions"}, "nor with who votes how"
    of_reputation = {table for table in allowed if table.startswith("reputation.")}
    assert of_reputation == {"reputation.user_global_reputation", "reputation.community_groups"}, (
        "nor with who did what"
    )


async def test_the_operations_service_touches_no_petition_vote_or_claim(db: Connection) -> None:
    allowed = await rights(db, "tally_operations")
    assert not [table for table in allowed if table.startswith(("petition.", "voting.", "claims.", "reputation."))]


@pytest.mark.parametrize("role", ROLES)
async def test_a_services_role_owns_nothing_and_cannot_log_in_or_make_anything(db: Connection, role: str) -> None:
    row = await db.fetchrow(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = $1", role
    )
    assert row is not None and not any(row)
    assert not await db.fetchval("SELECT count(*) FROM pg_class WHERE relowner = $1::regrole", role)
    for schema in ("petition", "voting", "claims", "operations", "public"):
        assert not await db.fetchval("SELECT has_schema_privilege($1, $2, 'CREATE')", role, schema)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tally_petition", "UPDATE operations.halt SET halted = false"),
        ("tally_petition", "DELETE FROM operations.events"),
        ("tally_petition", "UPDATE petition.co_signs SET ordinal = 1"),
        ("tally_petition", "TRUNCATE petition.petition_submissions CASCADE"),
        ("tally_petition", "DROP TABLE petition.co_signs"),
        ("tally_aggregator", "UPDATE petition.petition_submissions SET co_signer_count = 1"),
        ("tally_aggregator", "SELECT * FROM petition.co_signs"),
        ("tally_operations", "SELECT * FROM petition.petition_submissions"),
        ("tally_operations", "SELECT * FROM claims.coupons"),
        ("tally_claims", "UPDATE operations.halt SET halted = false"),
        ("tally_claims", "SELECT * FROM petition.petition_submissions"),
        ("tally_claims", "INSERT INTO petition.co_signs SELECT * FROM petition.co_signs"),
        ("tally_claims", "UPDATE claims.claims SET user_id = gen_random_uuid()"),
        ("tally_claims", "DELETE FROM claims.exchanges"),
        ("tally_claims", "DROP TABLE claims.coupons"),
        ("tally_petition", "SELECT * FROM claims.coupons"),
        ("tally_petition", "UPDATE claims.food_posts SET portions = 1"),
        ("tally_voting", "UPDATE operations.halt SET halted = false"),
        ("tally_voting", "SELECT * FROM claims.coupons"),
        ("tally_voting", "DELETE FROM voting.opinions"),
        ("tally_voting", "UPDATE voting.moderation SET reason = ''"),
        ("tally_claims", "SELECT * FROM voting.votes"),
        ("tally_reputation", "UPDATE reputation.reputation_events SET new_score = 99.99"),
        ("tally_reputation", "DELETE FROM reputation.reputation_events"),
        ("tally_reputation", "SELECT * FROM claims.ratings"),
        ("tally_claims", "SELECT * FROM reputation.reputation_events"),
        ("tally_aggregator", "SELECT * FROM reputation.reputation_events"),
        ("tally_operations", "SELECT * FROM voting.conversations"),
        ("tally_aggregator", "SELECT * FROM voting.votes"),
        ("tally_aggregator", "SELECT * FROM voting.participants"),
        ("tally_aggregator", "SELECT * FROM voting.analyses"),
        ("tally_aggregator", "SELECT * FROM voting.visible_votes"),
        ("tally_aggregator", "SELECT * FROM claims.claims"),
        ("tally_aggregator", "SELECT * FROM claims.exchanges"),
        ("tally_aggregator", "UPDATE claims.coupons SET remaining_amount = 1"),
    ],
)
async def test_what_a_role_may_not_do_the_database_refuses(as_role: Connection, role: str, statement: str) -> None:
    await as_role.execute(f"SET ROLE {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role.execute(statement)
