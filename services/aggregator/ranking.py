"""The top of one counter: which resources are there, as far as a reading of the database and the events since tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.data.counters import Counter
from libs.data.events import StoredEvent
from services.aggregator.store import Row

# Resources kept, how few are too few to go on with, and how many newcomers may wait to be looked at.
KEPT = 1_000
FEWEST = 100
MOST_NEWCOMERS = 5_000


@dataclass(slots=True)
class Held:
    """A value and the version of the aggregate that had it."""

    value: int
    version: int


@dataclass(slots=True)
class Ranking:
    """All listed resources of a counter whose rank is at or above a floor, and what might belong there too.

    Ranks are (value, resource id). An event does not say whether its resource is listed, and may be older than what was
    read, so one about a resource that is not held makes it a *newcomer*: the database is asked before it is shown.
    """

    counter: Counter
    held: dict[str, Held] = field(default_factory=dict)
    floor: tuple[int, str] | None = None
    newcomers: dict[str, Held] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    filled: bool = False
    _sorted: list[tuple[str, int]] | None = None

    @property
    def worn(self) -> bool:
        """Too little of it is left, or too much has to be looked at: read it anew."""
        too_few = self.floor is not None and len(self.held) < FEWEST
        return too_few or len(self.newcomers) + len(self.left) > MOST_NEWCOMERS

    def top(self, size: int) -> list[tuple[str, int]]:
        """The highest: resource id and value; among equals the larger id, which was created last."""
        if self._sorted is None:
            ranks = sorted(((held.value, key) for key, held in self.held.items()), reverse=True)
            self._sorted = [(key, value) for value, key in ranks]
        return self._sorted[:size]

    def apply(self, event: StoredEvent) -> None:
        key = event.aggregate_id
        if event.kind in self.counter.unlisted_by:
            self._leave(key, event.version)
            return
        value = event.payload.get("counters", {}).get(self.counter.name, {}).get(key)
        if value is None:
            return
        held = self.held.get(key)
        if held is not None:
            if event.version > held.version:
                self._put(key, Held(value, event.version))
        elif self.floor is None or (value, key) >= self.floor:
            waiting = self.newcomers.get(key)
            if waiting is None or event.version > waiting.version:
                self.newcomers[key] = Held(value, event.version)

    def fill(self, rows: Iterable[Row], limit: int) -> None:
        """Takes the top as it was read; events may have come while it was."""
        for row in rows:
            self._put(row.resource_id, Held(row.value, row.version))
        if len(self.held) >= limit:
            self.floor = min((held.value, key) for key, held in self.held.items())
        self.filled = True
        for key, version in self.left.items():
            if key in self.held and version > self.held[key].version:
                self._leave(key, version)
        self.left.clear()
        for key, newcomer in list(self.newcomers.items()):
            if key in self.held:
                self._catch_up(key)
            elif self.floor is not None and (newcomer.value, key) < self.floor:
                del self.newcomers[key]

    def admit(self, asked: Mapping[str, int], listed: Iterable[Row]) -> None:
        """Takes in those of the newcomers, asked about at these versions, that the database says are listed."""
        for row in listed:
            if self.floor is None or (row.value, row.resource_id) >= self.floor:
                self._put(row.resource_id, Held(row.value, row.version))
                self._catch_up(row.resource_id)
        for key, version in asked.items():
            if key in self.newcomers and self.newcomers[key].version <= version:
                del self.newcomers[key]
        if len(self.held) > 2 * KEPT:
            kept = self.top(KEPT)
            self.held = {key: self.held[key] for key, _ in kept}
            last, value = kept[-1]
            self.floor, self._sorted = (value, last), None

    def _catch_up(self, key: str) -> None:
        newcomer = self.newcomers.pop(key, None)
        if newcomer is not None and key in self.held and newcomer.version > self.held[key].version:
            self._put(key, newcomer)

    def _put(self, key: str, held: Held) -> None:
        self._sorted = None
        if self.floor is not None and (held.value, key) < self.floor:
            self.held.pop(key, None)
        else:
            self.held[key] = held

    def _leave(self, key: str, version: int) -> None:
        self._sorted = None
        self.held.pop(key, None)
        if not self.filled:
            self.left[key] = version
