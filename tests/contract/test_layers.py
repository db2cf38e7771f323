"""The layout and the direction of dependencies hold; what import-linter cannot see is looked up in the sources."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from libs.data.catalog import COUNTERS
from tests.contract.sources import ROOT, python_files, shown, strings

SQL = re.compile(
    r"""\b(select\b.+\bfrom | insert\s+into | update\s+\S+(\s+as\s+\w+)?\s+set | delete\s+from | merge\s+into
        | (create|alter|drop)\s+(unique\s+)?(table|index|view|schema|role|function|type|database|materialized)
        | truncate\s | copy\s.+\b(from|to)\s+std | for\s+(no\s+key\s+)?update | lock\s+table | listen\s+\w+$)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
SPEAKS_SQL = ("libs/data/", "libs/devstack/", "libs/jobs/")
# The one module that changes a counter, and the history of the schema, whose back-fills are frozen.
CHANGES_COUNTERS = ("libs/data/counters.py", "libs/data/migrations/versions/")
COUNTER_COLUMNS = sorted({counter.column for counter in COUNTERS.values()})
SETS_A_COUNTER = re.compile(
    rf"\bset\b(?!.*\bselect\b).*?(\b({'|'.join(COUNTER_COLUMNS)})\b|\{{\}})\s*=", re.IGNORECASE | re.DOTALL
)
# Of a stored table, which has a schema in its name; what a statement itself changed may be counted.
COUNTS_ROWS = re.compile(
    r"\bcount\s*\(\s*(\*|1)\s*\)((?!\bfrom\b).)*\bfrom\s+(\w+\.\w+|\{\})", re.IGNORECASE | re.DOTALL
)
PARTS_OF_A_SERVICE = {"__main__.py", "settings.py"}
PARTS_OF_AN_API = {"service.py", "store.py"}
SERVES = re.compile(r"^class (\w+)\(\1Servicer\)", re.MULTILINE)
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "base"}


def may_hold_sql(path: Path) -> bool:
    name = shown(path)
    return (
        name.startswith(SPEAKS_SQL)
        or (name.startswith("services/") and path.name.startswith("store"))
        or (name.startswith("libs/cli/") and path.name.startswith("verify"))
    )


def sql_in(path: Path) -> list[str]:
    return [f"{shown(path)}:{line}: {text.strip()[:60]!r}" for line, text in strings(path) if SQL.search(text)]


def packages(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/__init__.py"))


def service_folders() -> list[Path]:
    return packages(ROOT / "services")


def apis(service: Path) -> list[Path]:
    """Where a service keeps what it serves: in sub-packages, one an API, or in its own folder."""
    return [folder for folder in packages(service) if (folder / "service.py").exists()] or [service]


def test_imports_keep_to_the_layers() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_sql_is_spoken_in_the_data_library_and_in_stores_only() -> None:
    misplaced = [found for path in python_files("libs", "services") if not may_hold_sql(path) for found in sql_in(path)]
    assert not misplaced, "\n".join(misplaced)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT co_signer_count FROM petition.petition_submissions WHERE id = $1",
        "update petition.petition_submissions set state = $1",
        "UPDATE petition.petition_submissions AS p SET state = $1",
        "INSERT INTO petition.co_signs VALUES ($1)",
        "CREATE UNIQUE INDEX CONCURRENTLY idx ON t (a)",
        "… FOR NO KEY UPDATE",
    ],
)
def test_the_search_for_sql_recognises_a_statement(text: str) -> None:
    assert SQL.search(text)


@pytest.mark.parametrize("text", ["the petition was updated", "select a petition", "copied from the request"])
def test_the_search_for_sql_leaves_prose_alone(text: str) -> None:
    assert not SQL.search(text)


def matching(pattern: re.Pattern[str], *folders: str, but: tuple[str, ...]) -> list[str]:
    return [
        f"{shown(path)}:{line}"
        for path in python_files(*folders)
        if not shown(path).startswith(but)
        for line, text in strings(path)
        if pattern.search(text)
    ]


def test_a_counter_is_changed_by_the_counter_module_alone() -> None:
    assert not matching(SETS_A_COUNTER, "libs", "services", but=CHANGES_COUNTERS)
    assert matching(SETS_A_COUNTER, "libs/data", but=())


@pytest.mark.parametrize("column", COUNTER_COLUMNS)
def test_the_search_for_changes_of_counters_recognises_one(column: str) -> None:
    assert SETS_A_COUNTER.search(f"UPDATE t SET state = $1, {column} = {column} + 1 WHERE id = $2")
    assert not SETS_A_COUNTER.search(f"SELECT {column} FROM t WHERE {column} = $1")


def test_rows_are_counted_to_verify_a_counter_and_never_to_answer_a_request() -> None:
    assert not matching(COUNTS_ROWS, "services", "libs/data", "libs/rpc", but=CHANGES_COUNTERS)
    assert matching(COUNTS_ROWS, "libs/data", but=())


@pytest.mark.parametrize("service", service_folders(), ids=lambda path: path.name)
def test_a_service_has_a_composition_root_settings_and_rpcs(service: Path) -> None:
    assert {path.name for path in service.iterdir()} >= PARTS_OF_A_SERVICE
    for api in apis(service):
        assert {path.name for path in api.iterdir()} >= PARTS_OF_AN_API, shown(api)


def test_each_api_of_the_protos_is_served_from_a_file_of_its_own() -> None:
    protos = "\n".join(path.read_text() for path in (ROOT / "protos").rglob("*_service.proto"))
    handlers = {
        shown(path): SERVES.findall(path.read_text())
        for service in service_folders()
        for api in apis(service)
        for path in api.glob("*service.py")
    }
    served = [" ".join(classes) for classes in handlers.values()]
    assert sorted(served) == sorted(re.findall(r"^service (\w+) ", protos, re.MULTILINE)), handlers


def test_no_file_is_named_after_nothing() -> None:
    vague = [shown(path) for path in python_files("libs", "services", "tools", "tests") if path.stem in VAGUE_NAMES]
    assert not vague


def test_hand_written_files_stay_small_enough_to_read() -> None:
    lengths = {
        shown(path): len(path.read_text().splitlines()) for path in python_files("libs", "services", "tools", "tests")
    }
    long = {name: lines for name, lines in lengths.items() if lines > 350}
    assert not long
