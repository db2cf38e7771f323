"""What work sees of the database: a `Snapshot` to read, a `Transaction` to write.

A transaction ends with its *seal*: one statement that moves the counters, appends the events and reads the halt flag. There
is no other way to commit, so nothing can forget any of the three. What else can wait until then shares the statement.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import asyncpg

from libs.data.commit_tokens import CommitToken, encode_token
from libs.data.counters import (
    Counter,
    Key,
    aggregate_update_sql,
    breakdown_add_sql,
    breakdown_arrays,
    breakdown_subtract_sql,
    rows_insert_sql,
    rows_update_sql,
)
from libs.data.errors import Halted
from libs.data.events import Event
from libs.data.seal import Seal, renumbered
from libs.data.tables import AggregateId, Locked, Table

T = TypeVar("T", bound=Table)

# A row as read: columns by name and by place.
Record = asyncpg.Record

# New values by aggregate, counter and resource id: what the aggregates' events tell.
Values = dict[AggregateId, dict[str, dict[str, int]]]


class Snapshot:
    """Reads. Each statement sees one moment; so does a whole repeatable read.

    Args:
        from_replica: where it reads.
        lag_seconds: how far the replica may be behind; 0 on the primary.
    """

    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        *,
        from_replica: bool = False,
        lag_seconds: float = 0.0,
    ) -> None:
        self._connection = connection
        self.from_replica = from_replica
        self.lag_seconds = lag_seconds

    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        return await self._connection.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: object) -> Record | None:
        return await self._connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        return await self._connection.fetchval(sql, *arguments)

    async def pages(self, sql: str, *arguments: object, size: int) -> AsyncIterator[list[Record]]:
        """What a statement answers, `size` rows at a time; only those are in memory. Within `Database.snapshot`."""
        cursor = await self._connection.cursor(sql, *arguments)
        while rows := await cursor.fetch(size):
            yield rows


class Transaction(Snapshot):
    """A writing transaction, READ COMMITTED: each statement sees what committed before it, so a statement after `lock` sees
    everything done under the lock before."""

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        super().__init__(connection)
        self._locked: dict[Table, Locked[Any]] = {}
        self._additions: dict[Counter, dict[Key, int]] = {}
        self._before: dict[Counter, dict[Key, int]] = {}
        self._touched: dict[Table, dict[AggregateId, None]] = {}
        self._written: dict[Table, Mapping[AggregateId, Mapping[str, object]]] = {}
        self._events: list[Event] = []
        self._last: list[tuple[str, tuple[object, ...], int]] = []

    async def execute(self, sql: str, *arguments: object) -> int:
        """Runs one statement and answers how many rows it touched."""
        status = await self._connection.execute(sql, *arguments)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def lock_and_read(
        self, table: T, keys: Iterable[AggregateId], sql: str, *arguments: object
    ) -> tuple[Locked[T], list[tuple[Any, ...]]]:
        """Locks as `lock` does, and reads by `sql` what belongs to the aggregates, as it is under their locks.

        One round trip where nobody changed the aggregates between the statement's snapshot and the lock; else `sql` runs
        again. So it may read only what changes together with the aggregate's version.

        Args:
            sql: its first column is the aggregate's key, named as the table's.
        """
        assert table not in self._locked, f"{table.name} was locked before: keys locked in two steps can deadlock"
        rows = await self._connection.fetch(_lock_and_read_sql(table, sql), list(keys), *arguments)
        locked = Locked(table, {row[0]: row for row in rows})
        self._locked[table] = locked
        if all(row["unchanged"] for row in rows):
            return locked, [row["seen"] for row in rows if row["seen"] is not None]
        return locked, [tuple(row) for row in await self._connection.fetch(sql, *arguments)]

    def write_last(self, sql: str, *arguments: object, rows: int) -> None:
        """Leaves a statement (without RETURNING) to the seal, with which it shares a round trip.

        Nothing in this transaction sees what it writes, nor may anything else the seal does touch the same rows.

        Args:
            rows: how many it must touch.
        """
        self._last.append((sql, arguments, rows))

    async def lock(self, table: T, keys: Iterable[AggregateId]) -> Locked[T]:
        """Locks the rows of these keys, in ascending order, and answers those that exist. Once a table and transaction."""
        assert table not in self._locked, f"{table.name} was locked before: keys locked in two steps can deadlock"
        rows = await self._connection.fetch(table.lock_sql, list(keys))
        locked = Locked(table, {row[0]: row for row in rows})
        self._locked[table] = locked
        return locked

    def increment(
        self, counter: Counter, additions: Mapping[Key, int], before: Mapping[Key, int] | None = None
    ) -> None:
        """Adds to a counter, key by key; numbers may be negative. Applied by the seal, with an event carrying the new value.

        The aggregates' rows must be locked.

        Args:
            before: of a counter with a table of its own, the values read under the lock: then it shares the seal's one
                statement. A key without a value has no row yet, and gets one. Given for all counters of the table or for none.
        """
        locked = self._locked[counter.aggregate]
        assert counter.table or before is None, f"{counter.name} is read with the lock"
        assert counter.rows_appear or before is not None, f"no row of {counter.name} appears by itself"
        assert counter not in self._additions or (counter in self._before) == (before is not None), (
            f"{counter.name} is moved both with and without the values before"
        )
        if before is not None:
            self._before.setdefault(counter, {}).update(before)
        sums = self._additions.setdefault(counter, defaultdict(int))
        for key, n in additions.items():
            assert key[0] in locked, f"{counter.name} of {key[0]} changed without its lock"
            if n:
                sums[key] += n

    def touch(self, table: Table, keys: Iterable[AggregateId]) -> None:
        """Gives aggregates a new version even if none of their counters ends up changed.

        Needed where units that leave a counter can be made up for by others that enter it: by the version alone
        `lock_and_read` tells that what belongs to an aggregate has changed. The rows must be locked.
        """
        for key in keys:
            assert key in self._locked[table], f"{table.name} {key} touched without its lock"
            self._touched.setdefault(table, {})[key] = None

    def write_columns(self, table: Table, values: Mapping[AggregateId, Mapping[str, object]]) -> None:
        """Writes columns of aggregates' rows in the statement that moves their counters, and gives them a new version.

        For what is kept beside the counters because it follows from them. Once a table and transaction; rows must be locked.

        Args:
            values: of each aggregate, new values by column, of the same columns each; `Table.written_columns` lists them.
        """
        assert table not in self._written, f"columns of {table.name} were written before"
        assert len({frozenset(columns) for columns in values.values()}) <= 1, "different columns"
        self.touch(table, values)
        self._written[table] = values

    def emit(self, events: Iterable[Event]) -> None:
        """Appends events, in order, to be committed with the transaction."""
        self._events.extend(events)

    async def seal(self, *, while_halted: bool = False) -> CommitToken | None:
        """Moves the counters, appends the events, reads the halt flag. Called by `Database.write`, last before COMMIT.

        Returns:
            The token of the commit to come; None if nothing was written.

        Raises:
            Halted: nothing may be committed.
        """
        values: Values = {}
        seal = Seal()
        for counter, additions in self._additions.items():
            if counter.breakdown and counter not in self._before and additions:
                await self._add_breakdown(counter, additions, values)
        self._add_to_read_rows(seal, values)
        self._add_to_aggregates(seal, values)
        for sql, arguments, rows in self._last:
            seal.change(sql, arguments, rows)
        self._events[:0] = self._counted_events(values)
        seal.append(self._events)
        row = await self._connection.fetchrow(seal.sql, *seal.parameters)
        assert row is not None, "operations.halt has lost its row"
        if row["halted"] and not while_halted:
            raise Halted
        assert row["changed"] == seal.expected, f"{row['changed']} rows changed where {seal.expected} should have"
        xid: int | None = row["xid"]
        # Else the flag was read before the xid was assigned, and Halt would not wait for this transaction.
        assert xid is not None or not self._events, "events of a transaction that locked and wrote nothing"
        return None if xid is None else encode_token(xid)

    async def _add_breakdown(self, counter: Counter, additions: Mapping[Key, int], values: Values) -> None:
        for sql, part in (
            (breakdown_add_sql(counter), {key: n for key, n in additions.items() if n > 0}),
            (breakdown_subtract_sql(counter), {key: n for key, n in additions.items() if n < 0}),
        ):
            if not part:
                continue
            rows = await self._connection.fetch(sql, *breakdown_arrays(part))
            assert len(rows) == len(part), f"{counter.name}: {len(rows)} of {len(part)} rows changed"
            if not counter.served:
                continue
            for row in rows:
                *key, value = row
                values.setdefault(key[0], {}).setdefault(counter.name, {})[counter.resource_id(tuple(key))] = value

    def _add_to_read_rows(self, seal: Seal, values: Values) -> None:
        """An UPDATE and an INSERT a table for the counters whose values were read, and the values they will have."""
        by_table: dict[str, list[Counter]] = {}
        for counter in self._before:
            by_table.setdefault(counter.table, []).append(counter)
        for table, counters in by_table.items():
            assert all(other in self._before for other in self._additions if other.table == table), (
                f"the values before of some counters of {table}, and not of all"
            )
            there: list[Key] = []
            new: list[Key] = []
            for key in {key: None for counter in counters for key, n in self._additions[counter].items() if n}:
                (there if any(key in self._before[counter] for counter in counters) else new).append(key)
            assert counters[0].rows_appear or not new, f"{len(new)} rows of {table} are not there"
            of_table = tuple(counters)
            for sql, keys in ((rows_update_sql(of_table), there), (rows_insert_sql(of_table), new)):
                if keys:
                    arrays = [[self._additions[counter].get(key, 0) for key in keys] for counter in counters]
                    seal.change(sql, [*map(list, zip(*keys, strict=True)), *arrays], len(keys))
            without_value = {*new}
            for counter in counters:
                if not counter.served:
                    continue
                before = self._before[counter]
                for key, n in self._additions[counter].items():
                    if n:
                        of_counter = values.setdefault(key[0], {}).setdefault(counter.name, {})
                        of_counter[counter.resource_id(key)] = n if key in without_value else before[key] + n

    def _add_to_aggregates(self, seal: Seal, values: Values) -> None:
        """One UPDATE a table for the counters on its own rows and the aggregates' versions, and the values they will have."""
        by_table: dict[Table, list[Counter]] = {}
        touched = {table: dict(keys) for table, keys in self._touched.items()}
        for counter, additions in self._additions.items():
            if not counter.breakdown:
                by_table.setdefault(counter.aggregate, []).append(counter)
            for resource, n in additions.items():
                if n:
                    touched.setdefault(counter.aggregate, {})[resource[0]] = None
        for table, keys in touched.items():
            counters = by_table.get(table, [])
            arrays = [[self._additions[counter].get((key,), 0) for key in keys] for counter in counters]
            written = self._written.get(table, {})
            assert not written or written.keys() == keys.keys(), f"columns of some {table.aggregate}s, and not of all"
            columns = tuple(next(iter(written.values()), ()))
            values_written = [[written[key][column] for key in keys] for column in columns]
            sql = aggregate_update_sql(table, tuple(counters), columns)
            seal.change(sql, [list(keys), *arrays, *values_written], len(keys))
            locked = self._locked[table]
            for counter, numbers in zip(counters, arrays, strict=True):
                if not counter.served:
                    continue
                for key, n in zip(keys, numbers, strict=True):
                    if n or not table.tells_moved_only:
                        values.setdefault(key, {})[counter.name] = {str(key): counter.value_in(locked.rows[key]) + n}

    def _counted_events(self, values: Mapping[AggregateId, Mapping[str, Mapping[str, int]]]) -> list[Event]:
        """One event an aggregate with all its new counter values: applying it twice or late is harmless."""
        return [
            Event(f"{table.aggregate}.counted", key, locked.next_version(key), {"counters": values[key]})
            for table, locked in self._locked.items()
            for key in locked
            if key in values
        ]


@cache
def _lock_and_read_sql(table: Table, sql: str) -> str:
    """Locks the rows of `$1`, and reads by `sql` (from `$2` on) in the statement's own snapshot, which is older.

    `unchanged`: the row that was locked is the one the snapshot has, so nobody held the lock in between.
    """
    return (
        f"WITH locked AS MATERIALIZED ({table.lock_rows_sql}), seen AS ({renumbered(sql, 1)}) "
        f"SELECT locked.*, clock_timestamp() AS locked_time, before.version = locked.version AS unchanged, seen "
        f"FROM locked JOIN {table.name} before ON before.{table.key} = locked.{table.key} "
        f"LEFT JOIN seen ON seen.{table.key} = locked.{table.key}"
    )
