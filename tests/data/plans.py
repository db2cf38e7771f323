"""What Postgres does for a statement: its plan, as it ran."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from psycopg import sql as literals


@dataclass(frozen=True)
class Plan:
    """What EXPLAIN ANALYZE said, node by node."""

    nodes: list[dict[str, Any]]

    @property
    def scans(self) -> set[tuple[str, str]]:
        """Each scan with the index it uses, or the table it reads."""
        return {
            (node["Node Type"], node.get("Index Name") or node["Relation Name"])
            for node in self.nodes
            if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node)
        }

    @property
    def run(self) -> "Plan":
        """Without the steps that were never come to."""
        return Plan([node for node in self.nodes if node["Actual Loops"]])

    @property
    def rows_read(self) -> int:
        """Rows that scans of tables and indexes produced or threw away."""
        read: float = sum(
            (node["Actual Rows"] + sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")))
            * node["Actual Loops"]
            for node in self.nodes
            if "Relation Name" in node
        )
        return round(read)

    @property
    def rows_sorted(self) -> int:
        """Rows that were sorted without any order to begin with: the most of one sort."""
        return max((round(node["Actual Rows"]) for node in self.nodes if node["Node Type"] == "Sort"), default=0)

    @property
    def most_rows(self) -> int:
        """Rows that went through one step, however often: the most of one."""
        passed: float = max(
            (node["Actual Rows"] + sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Join Filter")))
            * node["Actual Loops"]
            for node in self.nodes
        )
        return round(passed)

    @property
    def heap_fetches(self) -> int:
        return sum(int(node.get("Heap Fetches", 0)) for node in self.nodes)

    def uses(self, *indexes: str) -> None:
        """Fails unless exactly these indexes are used and no table is read whole."""
        assert not [scan for scan in self.scans if scan[0] == "Seq Scan"], self.scans
        assert {name for kind, name in self.scans if "Index" in kind} == set(indexes), self.scans


async def explained(url: str, sql: str, *arguments: object, generic: bool = False) -> Plan:
    """The plan of a statement as it ran, rolled back afterwards; `generic` as one that serves any arguments.

    Planned in a plain session with default settings, so that nothing holds only because scans were forbidden.
    """
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        if generic:
            found = json.loads(await _explained_generic(connection, sql, arguments))
        else:
            found = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *arguments))
    finally:
        await transaction.rollback()
        await connection.close()

    def flat(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for part in node.get("Plans", ()):
            yield from flat(part)

    return Plan(list(flat(found[0]["Plan"])))


async def _explained_generic(
    connection: "asyncpg.Connection[asyncpg.Record]", sql: str, arguments: tuple[object, ...]
) -> str:
    """EXPLAIN plans for the arguments it is given; only what was prepared before has a plan for any."""
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE statement AS {sql}")
    given = ", ".join(literals.Literal(argument).as_string(None) for argument in arguments)
    explanation: str = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE statement{f'({given})' if arguments else ''}"
    )
    return explanation
