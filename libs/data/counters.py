"""Counters: one declaration each, from which increment, reading, verification, repair and serving derive.

This module holds the only SQL in Tally that changes a counter column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from libs.data.tables import Table

# Below this, `operations.rank_of(n)` is n.
EXACT_RANKS = 128

# A resource a counter counts for: the aggregate's key, followed by what breaks it down, if anything.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class CountedRows:
    """The rows a counter counts: those of `table` whose `key` columns equal the counter's, and `where` (constant SQL).

    Args:
        quantity: a column of them that is added up instead of counting each row as one.
        distinct: a column of them whose different values are counted instead of the rows.
    """

    table: str
    key: tuple[str, ...]
    where: str = ""
    quantity: str = ""
    distinct: str = ""

    def __post_init__(self) -> None:
        assert not (self.quantity and self.distinct), "either added up or told apart"

    @property
    def number(self) -> str:
        """How many there are, as `n`, and FROM where: to follow a SELECT. 0 without rows."""
        if self.quantity:
            return f"coalesce(sum({self.quantity}), 0)::bigint AS n FROM {self.table}"
        if self.distinct:
            return f"count(DISTINCT {self.distinct}) AS n FROM {self.table}"
        return f"count(*) AS n FROM {self.table}"


@dataclass(frozen=True, eq=False)
class Counter:
    """A counter column and what it counts.

    Args:
        name: as callers name it, such as `petition.co_signers`.
        description: what it counts, in a sentence.
        aggregate: the table whose row lock guards it.
        column: the counter column.
        counts: the rows it must equal at every commit; None for a number that counts no rows (an ordinal).
        table: where the column is, if not on the aggregate itself: then the key is the aggregate's followed by `breakdown`.
        breakdown: further key columns.
        breakdown_type: of those columns.
        rows_appear: whether rows of `table` appear with their first increment; else the service makes them, and what has no
            row is no resource.
        served: whether events tell of it and the aggregator answers it; else it is known to verification alone.
        scale: how many of the counter's units make one of the column's: 100 for a column of decimals with two places.
        rank_column: for rankings, a column holding `operations.rank_of(column)`, indexed descending; or the column itself, if
            that is indexed.
        listed: SQL condition on the aggregate for being ranked.
        unlisted_by: kinds of events after which an aggregate is not listed any more.
        remains_of: SQL expression over the aggregate's columns, such as `amount + restocked_amount`: the counter must equal
            this less what is counted.
    """

    name: str
    description: str
    aggregate: Table
    column: str
    counts: CountedRows | None = None
    table: str = ""
    breakdown: tuple[str, ...] = ()
    breakdown_type: Literal["text", "uuid"] = "text"
    rows_appear: bool = True
    served: bool = True
    scale: int = 1
    rank_column: str = ""
    listed: str = "true"
    unlisted_by: tuple[str, ...] = ()
    remains_of: str = ""
    key_columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        assert bool(self.table) == bool(self.breakdown), "a table of its own needs a key of its own"
        assert not (self.remains_of and self.breakdown), "what remains of an aggregate is not broken down"
        assert self.counts or not self.remains_of, "what remains is less what is counted"
        assert self.scale == 1 or not self.table, "only an aggregate's own column is scaled"
        object.__setattr__(self, "key_columns", (self.aggregate.key, *self.breakdown))

    @property
    def resource(self) -> str:
        """How a resource id is written: the key's columns joined by `/`."""
        return "/".join(self.key_columns)

    def resource_id(self, key: Key) -> str:
        return "/".join(str(part) for part in key)

    def value_in(self, row: Mapping[str, Any]) -> int:
        """The counter's value in a locked row."""
        return int(row[self.column] * self.scale)

    def value_sql(self, alias: str = "t") -> str:
        """The same in SQL."""
        column = f"{alias}.{self.column}"
        return column if self.scale == 1 else f"({column} * {self.scale})::bigint"

    @property
    def key_types(self) -> tuple[str, ...]:
        return (self.aggregate.key_type, *(self.breakdown_type for _ in self.breakdown))

    @property
    def key_arrays(self) -> str:
        """Parameters, from `$1` on: one array a key column."""
        return ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(self.key_types, start=1))

    @property
    def read_sql(self) -> str:
        """Reads the counter for keys given as one array a key column: key…, value, version. No row, no such resource.

        A breakdown that was never counted is 0 wherever its aggregate exists, if its row appears with the first increment.
        """
        names = ", ".join(self.key_columns)
        wanted = f"unnest({self.key_arrays}) AS wanted({names})"
        keys = ", ".join(f"wanted.{name}" for name in self.key_columns)
        if not self.table:
            return (
                f"SELECT {keys}, {self.value_sql()} AS value, t.version FROM {wanted} "
                f"JOIN {self.aggregate.name} t USING ({self.aggregate.key})"
            )
        join = "LEFT JOIN" if self.rows_appear else "JOIN"
        return (
            f"SELECT {keys}, coalesce(b.{self.column}, 0) AS value, t.version FROM {wanted} "
            f"JOIN {self.aggregate.name} t USING ({self.aggregate.key}) "
            f"{join} {self.table} b ON {_equal('b', 'wanted', self.key_columns)}"
        )

    @property
    def values_sql(self) -> str:
        """Reads the rows there are of a counter with a table of its own, for keys given so: key…, value."""
        assert self.table
        names = ", ".join(self.key_columns)
        return (
            f"SELECT {names}, b.{self.column} FROM unnest({self.key_arrays}) AS wanted({names}) "
            f"JOIN {self.table} b USING ({names})"
        )

    @property
    def verify_sql(self) -> str:
        """Counter and counted rows of one key (`$1…`), in the one snapshot of one statement."""
        assert self.counts is not None
        parameters = [f"${n}::{type_}" for n, type_ in enumerate(self.key_types, start=1)]
        rows = " AND ".join(f"{column} = {key}" for column, key in zip(self.counts.key, parameters, strict=True))
        where = f" AND {self.counts.where}" if self.counts.where else ""
        key = " AND ".join(f"t.{column} = {key}" for column, key in zip(self.key_columns, parameters, strict=True))
        counter = f"SELECT {self.value_sql()} FROM {self.table or self.aggregate.name} t WHERE {key}"
        of_aggregate = f"FROM {self.aggregate.name} WHERE {self.aggregate.key} = {parameters[0]}"
        if self.table and self.rows_appear:  # never counted is 0 wherever the aggregate exists
            counter = f"SELECT coalesce(({counter}), 0) {of_aggregate}"
        counted = f"(SELECT {self.counts.number} WHERE {rows}{where})"
        if self.remains_of:
            counted = f"((SELECT {self.remains_of} {of_aggregate}) - {counted})"
        return f"SELECT ({counter}) AS counter, {counted}::bigint AS counted"

    @property
    def survey_sql(self) -> str:
        """Compares counter and counted rows of every key, in one snapshot.

        Rows of key…, counter, counted, checked: the keys that differ, each with the number of keys looked at; one row with
        null keys where none differs.
        """
        return self._differing_sql(self._compared_sql(""))

    @property
    def survey_of_sql(self) -> str:
        """The same of the aggregates in the array `$1`: each is looked up by its key, in views of several tables too."""
        asked = f"(SELECT DISTINCT unnest($1::{self.aggregate.key_type}[]) AS aggregate) AS asked"
        return self._differing_sql(
            f"SELECT one.* FROM {asked} CROSS JOIN LATERAL ({self._compared_sql('asked.aggregate')}) AS one"
        )

    def _differing_sql(self, compared: str) -> str:
        keys = ", ".join(self.key_columns)
        return (
            f"WITH compared AS MATERIALIZED ({compared}) "
            f"SELECT {keys}, counter, counted, checked FROM (SELECT count(*) AS checked FROM compared) AS every "
            f"LEFT JOIN compared ON counter <> counted ORDER BY {keys}"
        )

    def _compared_sql(self, aggregate: str) -> str:
        """Key…, counter and counted of every key, or of those of one aggregate."""
        assert self.counts is not None
        keys = ", ".join(self.key_columns)
        counted_keys = ", ".join(
            f"{column} AS {name}" for column, name in zip(self.counts.key, self.key_columns, strict=True)
        )
        conditions = [f"{column} IS NOT NULL" for column in self.counts.key]
        conditions += [self.counts.where] if self.counts.where else []
        conditions += [f"{self.counts.key[0]} = {aggregate}"] if aggregate else []
        of_aggregate = f" WHERE {self.aggregate.key} = {aggregate}" if aggregate else ""
        # Of an aggregate without counted rows, everything remains.
        counted = "coalesce(rows.n, 0)"
        if self.remains_of:
            counted = f"coalesce(counters.whole, 0) - {counted}"
        return (
            f"SELECT {keys}, coalesce(counters.n, 0)::bigint AS counter, ({counted})::bigint AS counted "
            f"FROM (SELECT {keys}, {self.value_sql()} AS n, {self.remains_of or 0} AS whole "
            f"FROM {self.table or self.aggregate.name} t{of_aggregate}) AS counters "
            f"FULL JOIN (SELECT {counted_keys}, {self.counts.number} "
            f"WHERE {' AND '.join(conditions)} GROUP BY {', '.join(self.counts.key)}) AS rows USING ({keys})"
        )

    @property
    def top_sql(self) -> str:
        """The `$1` listed resources with the highest values, highest first: key, value, version.

        Where the index holds a coarse rank: from 128 on, a rank spans several values, and its few resources are sorted; below,
        the rank is the value, and the index itself has the order: most resources are there.
        """
        assert self.rank_column and not self.table
        key, rank = self.aggregate.key, self.rank_column
        ranked = (
            f"SELECT t.{key}, {self.value_sql()} AS value, t.version FROM {self.aggregate.name} t WHERE {self.listed}"
        )
        if rank == self.column:
            return f"{ranked} ORDER BY t.{rank} DESC, t.{key} DESC LIMIT $1"
        return (
            f"({ranked} AND t.{rank} >= {EXACT_RANKS} "
            f"ORDER BY t.{rank} DESC, t.{self.column} DESC, t.{key} DESC LIMIT $1) UNION ALL "
            f"({ranked} AND t.{rank} < {EXACT_RANKS} ORDER BY t.{rank} DESC, t.{key} DESC LIMIT $1) LIMIT $1"
        )

    @property
    def listed_sql(self) -> str:
        """Those of the aggregates `$1` that are listed: key, value, version."""
        assert not self.table
        return (
            f"SELECT t.{self.aggregate.key}, {self.value_sql()} AS value, t.version FROM {self.aggregate.name} t "
            f"WHERE t.{self.aggregate.key} = ANY($1::{self.aggregate.key_type}[]) AND {self.listed}"
        )


@cache
def aggregate_update_sql(table: Table, counters: tuple[Counter, ...], columns: tuple[str, ...] = ()) -> str:
    """One UPDATE that adds to several counters of the aggregates' rows, or to none, as a new version of them.

    Parameters: keys, then one array of additions a counter, then one of values a column that is written besides.
    """
    types = [table.key_type, *("bigint" for _ in counters), *(table.written_columns[column] for column in columns)]
    arrays = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, start=1))
    names = ", ".join(("key", *(f"n{n}" for n in range(len(counters))), *columns))
    sets = ["version = t.version + 1", *(f"{column} = d.{column}" for column in columns)]
    for n, counter in enumerate(counters):
        added = f"d.n{n}" if counter.scale == 1 else f"d.n{n}::numeric / {counter.scale}"
        sets.append(f"{counter.column} = t.{counter.column} + {added}")
        if counter.rank_column not in ("", counter.column):
            sets.append(f"{counter.rank_column} = operations.rank_of(t.{counter.column} + d.n{n})")
    return (
        f"UPDATE {table.name} AS t SET {', '.join(sets)} "
        f"FROM unnest({arrays}) AS d({names}) WHERE t.{table.key} = d.key"
    )


def breakdown_add_sql(counter: Counter) -> str:
    """Adds to rows of a counter with a table of its own, making those that are not there; answers key… and new value."""
    names = ", ".join(counter.key_columns)
    types = f"{counter.key_arrays}, ${len(counter.key_columns) + 1}::bigint[]"
    return (
        f"INSERT INTO {counter.table} AS t ({names}, {counter.column}) "
        f"SELECT * FROM unnest({types}) "
        f"ON CONFLICT ({names}) DO UPDATE SET {counter.column} = t.{counter.column} + EXCLUDED.{counter.column} "
        f"RETURNING {names}, {counter.column} AS value"
    )


def breakdown_subtract_sql(counter: Counter) -> str:
    """Adds negative numbers: by UPDATE, because an INSERT's own check would refuse them before it saw the conflict."""
    names = ", ".join(counter.key_columns)
    types = f"{counter.key_arrays}, ${len(counter.key_columns) + 1}::bigint[]"
    returned = ", ".join(f"t.{name}" for name in counter.key_columns)
    return (
        f"UPDATE {counter.table} AS t SET {counter.column} = t.{counter.column} + d.n "
        f"FROM unnest({types}) AS d({names}, n) WHERE {_equal('t', 'd', counter.key_columns)} "
        f"RETURNING {returned}, t.{counter.column} AS value"
    )


@cache
def rows_update_sql(counters: tuple[Counter, ...]) -> str:
    """One UPDATE that adds to several counters of rows that are there, of one table of their own.

    Parameters: one array a key column, then one of additions a counter.
    """
    first = counters[0]
    numbers = [f"n{n}" for n in range(len(counters))]
    sets = ", ".join(f"{each.column} = t.{each.column} + d.{n}" for each, n in zip(counters, numbers, strict=True))
    return (
        f"UPDATE {first.table} AS t SET {sets} "
        f"FROM unnest({_arrays(counters)}) AS d({', '.join((*first.key_columns, *numbers))}) "
        f"WHERE {_equal('t', 'd', first.key_columns)}"
    )


@cache
def rows_insert_sql(counters: tuple[Counter, ...]) -> str:
    """One INSERT of rows that are not there yet, with several counters of theirs; parameters as above."""
    columns = (*counters[0].key_columns, *(each.column for each in counters))
    return f"INSERT INTO {counters[0].table} ({', '.join(columns)}) SELECT * FROM unnest({_arrays(counters)})"


def _arrays(counters: tuple[Counter, ...]) -> str:
    keys = len(counters[0].key_columns)
    numbers = (f"${keys + n}::bigint[]" for n in range(1, len(counters) + 1))
    return ", ".join((counters[0].key_arrays, *numbers))


def breakdown_arrays(additions: Mapping[Key, int]) -> list[list[Any]]:
    """Keys and additions as one array a column, in ascending order of key."""
    ordered = sorted(additions.items())
    columns = [list(column) for column in zip(*(key for key, _ in ordered), strict=True)]
    return [*columns, [n for _, n in ordered]]


def _equal(left: str, right: str, columns: Sequence[str]) -> str:
    return " AND ".join(f"{left}.{column} = {right}.{column}" for column in columns)
