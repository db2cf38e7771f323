"""The one statement that ends a transaction: what changes counters and rows, the events, and the halt flag read beside them.

Its text depends on what kinds of changes a transaction makes, not on how many: it is put together once for each kind.
"""

import re
from collections.abc import Sequence
from functools import cache

import orjson

from libs.data.events import Event

# The xid is not assigned by this statement but read: the halt flag must be seen by a snapshot taken after the xid was
# assigned, or Halt could not know whom to wait for.
RESULT = """
SELECT h.halted, pg_current_xact_id_if_assigned()::text::bigint AS xid, {changed} AS changed FROM operations.halt h
"""
APPEND_EVENTS = """
INSERT INTO operations.events (position, kind, aggregate_id, version, payload)
SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::jsonb[])
"""


class Seal:
    """The statement while it is put together.

    Attributes:
        parameters: of the statement.
        expected: how many rows its changes must touch.
    """

    def __init__(self) -> None:
        self.parameters: list[object] = []
        self.expected = 0
        self._changes: list[str] = []
        self._appended = ""

    def change(self, sql: str, parameters: Sequence[object], rows: int) -> None:
        """Adds a change (without RETURNING, its parameters numbered from `$1`) that must touch so many rows.

        All changes see the rows as they were before the statement, so no two may touch the same one.
        """
        self._changes.append(renumbered(sql, len(self.parameters)))
        self.parameters += parameters
        self.expected += rows

    def append(self, events: Sequence[Event]) -> None:
        """Adds the events, in order. Once, and last."""
        if not events:
            return
        self._appended = renumbered(APPEND_EVENTS, len(self.parameters))
        self.parameters += (
            list(range(len(events))),
            [event.kind for event in events],
            [str(event.aggregate_id) for event in events],
            [event.version for event in events],
            [orjson.dumps(event.payload).decode() for event in events],
        )

    @property
    def sql(self) -> str:
        """Answers `halted`, `xid` (null if nothing was written) and how many rows were `changed`."""
        return _text(tuple(self._changes), self._appended)


@cache
def renumbered(sql: str, by: int) -> str:
    """The statement with its parameters numbered on from `by`, to be part of another."""
    return re.sub(r"\$(\d+)", lambda number: f"${int(number[1]) + by}", sql)


@cache
def _text(changes: tuple[str, ...], appended: str) -> str:
    parts = [f"changed_{n} AS ({change} RETURNING 1)" for n, change in enumerate(changes)]
    changed = " + ".join(f"(SELECT count(*) FROM changed_{n})" for n in range(len(changes))) or "0"
    if appended:
        parts.append(f"appended AS ({appended})")
    return (f"WITH {', '.join(parts)}" if parts else "") + RESULT.format(changed=changed)
