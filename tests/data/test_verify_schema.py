"""`tally verify-schema` passes on a migrated database and names each thing that was altered (R7)."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from psycopg import sql

from libs.cli.verify_schema import Difference, compare
from libs.cli.verify_schema_declared import INDEXES, TABLES
from libs.devstack.settings import SOURCE_ROOT

USERS, GROUPS, STANDING = "reputation.users", "reputation.community_groups", "reputation.user_global_reputation"
EVENTS, VIEW = "reputation.reputation_events", "reputation.group_activity_summary"


def altered(url: str, *statements: str) -> list[Difference]:
    with psycopg.connect(url, autocommit=True) as db:
        for statement in statements:
            db.execute(sql.SQL(statement))
    return compare(url).differences


def test_a_migrated_database_is_as_agreed_on(database_url: str) -> None:
    """R7: all six tables, the eight indexes and the view."""
    report = compare(database_url)
    assert not report.differences
    assert (report.tables, report.indexes, report.views, report.matches) == (6, 8, 1, True)
    assert report.columns == sum(len(table.columns) for table in TABLES.values()) + 8
    assert not altered(database_url, f"ALTER TABLE {USERS} ADD COLUMN nickname text"), "Tally may have more"


@pytest.mark.parametrize(
    ("statement", "what", "expected", "found"),
    [
        (
            f"ALTER TABLE {USERS} ALTER sharing_mode TYPE varchar(21)",
            f"type of {USERS}.sharing_mode",
            "character varying(20)",
            "character varying(21)",
        ),
        (
            f"ALTER TABLE {STANDING} ALTER reliability_score TYPE decimal(5,2)",
            f"type of {STANDING}.reliability_score",
            "numeric(4,2)",
            "numeric(5,2)",
        ),
        (
            f"ALTER TABLE {STANDING} ALTER overall_score SET DEFAULT 50.00",
            f"default of {STANDING}.overall_score",
            "75.00",
            "50.00",
        ),
        (
            f"ALTER TABLE {USERS} ALTER verification_level DROP DEFAULT",
            f"default of {USERS}.verification_level",
            "'full'",
            "none",
        ),
        (
            f"ALTER TABLE {EVENTS} ALTER stream_id SET DEFAULT ''",
            f"default of {EVENTS}.stream_id",
            "none",
            "''",
        ),
        (f"ALTER TABLE {GROUPS} ALTER name DROP NOT NULL", f"null of {GROUPS}.name", "NOT NULL", "NULL"),
        (f"ALTER TABLE {EVENTS} ALTER group_id SET NOT NULL", f"null of {EVENTS}.group_id", "NULL", "NOT NULL"),
        (
            "ALTER TABLE reputation.mode_transition_events DROP COLUMN reason",
            "column reputation.mode_transition_events.reason",
            "text",
            "missing",
        ),
        (
            f"ALTER TABLE {EVENTS} DROP CONSTRAINT reputation_events_pkey",
            f"primary key of {EVENTS}",
            "id",
            "",
        ),
        (
            f"ALTER TABLE {EVENTS} DROP CONSTRAINT reputation_events_group_id_fkey",
            f"foreign key {EVENTS}.group_id",
            GROUPS,
            "missing",
        ),
        (
            f"ALTER TABLE {GROUPS} DROP CONSTRAINT community_groups_telegram_group_id_key",
            f"unique {GROUPS}.telegram_group_id",
            "unique",
            "missing",
        ),
        (
            f"ALTER TABLE {GROUPS} DROP CONSTRAINT community_groups_group_type_check",
            f"words of {GROUPS}.group_type",
            "community, neighborhood",
            "",
        ),
        (
            "ALTER TABLE reputation.event_stream_checkpoints RENAME TO checkpoints",
            "table reputation.event_stream_checkpoints",
            "a table",
            "missing",
        ),
        (
            "DROP INDEX reputation.group_activity_summary_group",
            f"unique {VIEW} (group_id)",
            "unique",
            "missing",
        ),
        (
            f"REFRESH MATERIALIZED VIEW {VIEW} WITH NO DATA",
            f"contents of {VIEW}",
            "populated",
            "never refreshed",
        ),
        (
            f"ALTER MATERIALIZED VIEW {VIEW} RENAME TO summary",
            f"view {VIEW}",
            "a materialized view",
            "missing",
        ),
    ],
)
def test_what_is_altered_is_named_with_both_ways_it_could_be(
    database_url: str, statement: str, what: str, expected: str, found: str
) -> None:
    """R7: and nothing else is named."""
    (difference,) = altered(database_url, statement)
    assert (difference.what, difference.expected, difference.found) == (what, expected, found)


def test_a_column_of_the_view_that_has_another_name_is_named_both_ways(database_url: str) -> None:
    """R7."""
    named = altered(database_url, f"ALTER MATERIALIZED VIEW {VIEW} RENAME COLUMN avg_rating TO rating")
    assert {(each.what, each.expected, each.found) for each in named} == {
        (f"column {VIEW}.avg_rating", "numeric", "missing"),
        (f"column {VIEW}.rating", "none", "numeric"),
    }


def test_each_index_that_is_dropped_invalid_or_otherwise_defined_is_named(database_url: str) -> None:
    """R7: one after the other, all eight."""
    invalid = "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = '{}'::regclass"
    for name, declared in INDEXES.items():
        index = name.partition(".")[2]
        (state,) = altered(database_url, invalid.format(name) % "false")
        assert (state.what, state.found) == (f"state of {name}", "INVALID")
        (dropped,) = altered(database_url, invalid.format(name) % "true", f"DROP INDEX {name}")
        assert (dropped.what, dropped.expected, dropped.found) == (f"index {name}", declared, "missing")
        first = declared.partition("(")[2].partition(",")[0]
        table = declared.split()[1]
        (other,) = altered(database_url, f"CREATE INDEX {index} ON {table} ({first})")
        assert other.what == f"definition of {name}" and other.expected != other.found
        assert not altered(database_url, f"DROP INDEX {name}", f"CREATE INDEX {index} {declared}")


def run(url: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "libs.cli.main", "verify-schema", *options]
    environment = {**os.environ, "TALLY_DATABASE_URL": url}
    return subprocess.run(
        command, cwd=SOURCE_ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_says_so_by_its_exit_status_too(database_url: str) -> None:
    """R7."""
    good = run(database_url, "--json")
    assert (good.returncode, json.loads(good.stdout)["matches"]) == (0, True), good.stderr
    altered(database_url, f"ALTER TABLE {USERS} ALTER sharing_mode DROP DEFAULT")
    bad = run(database_url)
    assert bad.returncode == 1 and f"default of {USERS}.sharing_mode" in bad.stdout
