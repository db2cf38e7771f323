"""Declarations of the tables whose rows are locked: one aggregate a row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

import asyncpg

T = TypeVar("T", bound="Table")
Row = Mapping[str, Any]

# The key of an aggregate: a UUID, or a string where the table's key is text.
AggregateId = Any


@dataclass(frozen=True, eq=False)
class Table:
    """A table with one row an aggregate, locked before anything of the aggregate is written.

    Args:
        name: with its schema.
        key: the key column.
        locked_columns: what `Transaction.lock` reads under the lock, besides key and version.
        aggregate: the aggregate's name in events, such as `petition`.
        written_columns: what `Transaction.write_columns` may write, with types: columns that follow from the counters.
        tells_moved_only: whether an aggregate's event tells only its own counters that moved, and not all that its transaction
            moved of any aggregate: where there are many, and a transaction moves few of each.
        key_type: of the key column. A text key is declared `COLLATE "C"`: the database's order is then Python's, by code point.

    Every such table has a `version bigint` that rises by one with each transaction that changes the aggregate's counters.
    """

    name: str
    key: str
    locked_columns: tuple[str, ...]
    aggregate: str
    key_type: Literal["uuid", "text"] = "uuid"
    written_columns: Mapping[str, str] = field(default_factory=dict)
    tells_moved_only: bool = False

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]

    @property
    def role(self) -> str:
        """The database role of the service whose table it is."""
        return f"tally_{self.schema}"

    def parse_key(self, aggregate_id: str) -> AggregateId:
        """The key of the aggregate that events name so."""
        return UUID(aggregate_id) if self.key_type == "uuid" else aggregate_id

    @property
    def lock_sql(self) -> str:
        """Locks the rows with the keys `$1` in ascending order of key, so that two transactions never wait for each other.

        FOR NO KEY UPDATE lets foreign-key checks pass. The time is read outside the locking subquery, so after the lock was
        got: times of one aggregate never run against its lock order.
        """
        return (
            f"WITH locked AS MATERIALIZED ({self.lock_rows_sql}) "
            f"SELECT locked.*, clock_timestamp() AS locked_time FROM locked"
        )

    @property
    def lock_rows_sql(self) -> str:
        """The same without the time, to be part of a statement that reads the time itself."""
        columns = ", ".join((self.key, "version", *self.locked_columns))
        return (
            f"SELECT {columns} FROM {self.name} "
            f"WHERE {self.key} = ANY($1::{self.key_type}[]) ORDER BY {self.key} FOR NO KEY UPDATE"
        )


class Locked(Generic[T]):
    """Rows of a table that this transaction holds the locks of. Functions that need a lock ask for one of these."""

    __slots__ = ("_rows", "table")

    def __init__(self, table: T, rows: Mapping[AggregateId, asyncpg.Record]) -> None:
        self.table = table
        self._rows = rows

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[AggregateId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: AggregateId) -> asyncpg.Record:
        return self._rows[key]

    def get(self, key: AggregateId) -> asyncpg.Record | None:
        return self._rows.get(key)

    @property
    def rows(self) -> Mapping[AggregateId, "Row"]:
        """The rows by key; each has the table's locked columns and `locked_time`."""
        return self._rows  # type: ignore[return-value]  # a record reads like a mapping

    def next_version(self, key: AggregateId) -> int:
        """The version the aggregate has once this transaction has committed."""
        version: int = self._rows[key]["version"]
        return version + 1
