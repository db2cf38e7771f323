"""The counters held in memory: a value and its version each, kept fresh by events, bounded in number."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from libs.data.events import StoredEvent
from libs.data.follower import Watermark
from services.aggregator.keys import Key

if TYPE_CHECKING:
    from services.aggregator.watching import Watch

UNKNOWN = -1


class Entry:
    """One counter of one resource.

    Attributes:
        version: of the aggregate when it had this value; UNKNOWN before the first.
        loaded: what the last reading from the database reflected; events since then do not change it.
        used: since the memory last looked for something to forget.
        watches: streams that tell of its changes; it is not forgotten while there are any.
        head, part: key and value, and the value alone, as bytes of an answer; None until `answers` makes them.
    """

    __slots__ = ("head", "key", "loaded", "part", "used", "value", "version", "watches")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.value = 0
        self.version = UNKNOWN
        self.loaded: Watermark | None = None
        self.used = False
        self.watches: set[Watch] | None = None
        self.head: bytes | None = None
        self.part: bytes | None = None

    @property
    def known(self) -> bool:
        return self.version != UNKNOWN

    def offer(self, value: int, version: int) -> None:
        """Takes the value on if it is newer than what is held: whatever order news come in, it never goes back (G6)."""
        if version > self.version:
            self.value, self.version = value, version
            self.head = self.part = None
            if self.watches:
                for watch in self.watches:
                    watch.changed(self)


class Memory:
    """At most `max_entries` entries besides those that are watched.

    What is forgotten is what was not used for longest, nearly: a hand goes round and takes what was not used since it last
    passed, so that a hit costs no more than setting a flag.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self.entries: OrderedDict[Key, Entry] = OrderedDict()
        self.watched = 0
        # Being loaded and perhaps not held: news that come meanwhile must not pass them by.
        self._loading: dict[Key, Entry] = {}
        self.events_applied = 0

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, key: Key) -> Entry | None:
        """What is held for a canonical key."""
        entry = self.entries.get(key)
        if entry is not None:
            entry.used = True
        return entry

    def begin_load(self, key: Key) -> Entry:
        """The entry to fill with what a reading that has not begun yet will find; follow with `end_load`."""
        entry = self.entries.get(key) or self._loading.get(key) or Entry(key)
        self._loading[key] = entry
        return entry

    def end_load(self, entry: Entry) -> None:
        """Holds the entry if it has a value by now."""
        self._loading.pop(entry.key, None)
        if entry.known and self.entries.setdefault(entry.key, entry) is entry:
            self._shrink()

    def apply(self, events: Iterable[StoredEvent]) -> None:
        """Brings what is held forward; what is not held is left to be read when it is asked for."""
        held, loading = self.entries, self._loading
        for event in events:
            counters = event.payload.get("counters")
            if not counters:
                continue
            self.events_applied += 1
            version = event.version
            for name, values in counters.items():
                for resource_id, value in values.items():
                    key = (name, resource_id)
                    entry = held.get(key) or (loading.get(key) if loading else None)
                    if entry is not None:
                        entry.offer(value, version)

    def watch(self, key: Key, watch: "Watch") -> Entry:
        """The entry of a canonical key, made if need be: from now on it is kept, and the watch is told of changes."""
        entry = self.entries.get(key) or self._loading.get(key) or Entry(key)
        self.entries[key] = entry
        if not entry.watches:
            entry.watches = set()
            self.watched += 1
        entry.watches.add(watch)
        return entry

    def unwatch(self, entry: Entry, watch: "Watch") -> None:
        assert entry.watches is not None
        entry.watches.discard(watch)
        if entry.watches:
            return
        self.watched -= 1
        if not entry.known:
            self.entries.pop(entry.key, None)
        self._shrink()

    def clear(self) -> None:
        """Forgets everything: it is of a database that is no more. Whoever watches is told."""
        watches = {watch for entry in self.entries.values() for watch in entry.watches or ()}
        self.entries.clear()
        self._loading.clear()
        for watch in watches:
            watch.end()

    def _shrink(self) -> None:
        held = self.entries
        while len(held) - self.watched > self._max_entries:
            key, entry = held.popitem(last=False)
            if entry.used or entry.watches:
                entry.used = False
                held[key] = entry
