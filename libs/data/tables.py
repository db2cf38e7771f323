"""Declarations of the tables whose rows are locked: one aggregate a row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

T = TypeVar("T", bound="Table")
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """A table with one row an aggregate, locked before anything of the aggregate is written.

    Args:
        name: with its schema.
        key: the key column, a UUID.
        locked_columns: what `Transaction.lock` reads under the lock, besides key and version.
        aggregate: the aggregate's name in events, such as `petition`.

    Every such table has a `version bigint` that rises by one with each transaction that changes the aggregate's counters.
    """

    name: str
    key: str
    locked_columns: tuple[str, ...]
    aggregate: str

    @property
    def lock_sql(self) -> str:
        """Locks the rows `$1::uuid[]` in ascending order of key, so that two transactions never wait for each other.

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
            f"WHERE {self.key} = ANY($1::uuid[]) ORDER BY {self.key} FOR NO KEY UPDATE"
        )


class Locked(Generic[T]):
    """Rows of a table that this transaction holds the locks of. Functions that need a lock ask for one of these."""

    __slots__ = ("_rows", "table")

    def __init__(self, table: T, rows: Mapping[UUID, asyncpg.Record]) -> None:
        self.table = table
        self._rows = rows

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: UUID) -> asyncpg.Record:
        return self._rows[key]

    def get(self, key: UUID) -> asyncpg.Record | None:
        return self._rows.get(key)

    @property
    def rows(self) -> Mapping[UUID, "Row"]:
        """The rows by key; each has the table's locked columns and `locked_time`."""
        return self._rows  # type: ignore[return-value]  # a record reads like a mapping

    def next_version(self, key: UUID) -> int:
        """The version the aggregate has once this transaction has committed."""
        version: int = self._rows[key]["version"]
        return version + 1
