"""Stock: a counter with a floor of zero that gives out at most what there is.

Units are never made or lost by giving them out: what leaves one counter of a stock enters another. So what remains, what is
held and what is gone add up to what was put in, at every commit; the tables say so too, in a CHECK.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.data.counters import Counter, Key
from libs.data.tables import AggregateId, Row
from libs.data.transaction import Transaction

# What an integer column holds.
MOST_UNITS = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Stock:
    """The counters of one aggregate between which its units move.

    Args:
        remaining: what can be taken.
        taken: where units go, such as held and claimed ones.
        put_in: how many there ever were besides those it began with; moves only when stock is added.
    """

    remaining: Counter
    taken: tuple[Counter, ...]
    put_in: Counter | None = None

    def __post_init__(self) -> None:
        assert all(counter.aggregate is self.remaining.aggregate for counter in self.counters)

    @property
    def counters(self) -> tuple[Counter, ...]:
        return (self.remaining, *self.taken, *((self.put_in,) if self.put_in else ()))


class Shelf:
    """The stock of some locked aggregates while the commands of a batch are decided, one after the other.

    Args:
        rows: the locked rows, by key.
    """

    def __init__(self, stock: Stock, rows: Mapping[AggregateId, Row]) -> None:
        self._stock = stock
        self._now: dict[Counter, dict[AggregateId, int]] = {
            counter: {key: row[counter.column] for key, row in rows.items()} for counter in stock.counters
        }
        self._before = {counter: dict(values) for counter, values in self._now.items()}

    def units(self, counter: Counter, key: AggregateId) -> int:
        """What a counter is by now."""
        return self._now[counter][key]

    def remaining(self, key: AggregateId) -> int:
        """What can be taken."""
        return self._now[self._stock.remaining][key]

    def take(self, key: AggregateId, n: int, to: Counter) -> bool:
        """Moves `n` units from what remains to where they go. False, and nothing moved, if fewer remain."""
        if n > self.remaining(key):
            return False
        self.move(key, n, self._stock.remaining, to)
        return True

    def put_back(self, key: AggregateId, n: int, source: Counter) -> None:
        """Moves `n` units that were taken back to what remains."""
        self.move(key, n, source, self._stock.remaining)

    def move(self, key: AggregateId, n: int, source: Counter, target: Counter) -> None:
        assert 0 < n <= self._now[source][key], f"{n} of {self._now[source][key]} units of {source.name}"
        self._now[source][key] -= n
        self._now[target][key] += n

    def add(self, key: AggregateId, n: int) -> None:
        """Puts in `n` new units, which remain until they are taken."""
        assert n > 0 and self._stock.put_in is not None
        self._now[self._stock.remaining][key] += n
        self._now[self._stock.put_in][key] += n

    def additions(self) -> Iterable[tuple[Counter, dict[Key, int]]]:
        """What each counter changed by, for `Transaction.increment`."""
        for counter, values in self._now.items():
            before = self._before[counter]
            yield counter, {(key,): value - before[key] for key, value in values.items() if value != before[key]}


def settle(tx: Transaction, shelf: Shelf) -> None:
    """Moves the counters to what the shelf says they are."""
    for counter, additions in shelf.additions():
        tx.increment(counter, additions)
