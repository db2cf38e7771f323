"""How counters and resources are named by callers."""

import re
from collections.abc import Mapping

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter
from libs.data.errors import FieldViolation, InvalidInput
from services.aggregator.errors import CounterNotFound

# Counter's name and canonical resource id, as events name them.
Key = tuple[str, str]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_PART = re.compile(r"[^\x00-\x1f\x7f/]+")


def served() -> Mapping[str, Counter]:
    """The counters there are for callers, by name."""
    return {name: counter for name, counter in COUNTERS.items() if counter.served}


def find_counter(name: str) -> Counter:
    counter = COUNTERS.get(name)
    if counter is None or not counter.served:
        raise CounterNotFound(name)
    return counter


def canonical(counter: Counter, resource_id: str, field: str = "key.resource_id") -> Key:
    """The key with its UUIDs in lower case; names are taken as they are.

    Raises:
        InvalidInput: the id is not one of this counter's.
    """
    named = counter.aggregate.key_type == "text"
    aggregate_id, *parts = _split(counter, resource_id)
    ids = counter.breakdown_type == "uuid"
    good = (_NAME if named else _UUID).fullmatch(aggregate_id) and len(parts) == len(counter.breakdown)
    if not good or not all((_UUID if ids else _PART).fullmatch(part) for part in parts):
        wanted = "a name of 1 to 300 characters without control characters" if named else "a UUID"
        if counter.breakdown:
            wanted += f" and what follows in {counter.resource}"
        raise InvalidInput([FieldViolation(field, f"must be {wanted}")])
    if ids:
        parts = [part.lower() for part in parts]
    return counter.name, "/".join((aggregate_id if named else aggregate_id.lower(), *parts))


def columns(counter: Counter, resource_ids: list[str]) -> list[list[str]]:
    """Canonical resource ids as one list a key column."""
    return [list(column) for column in zip(*(_split(counter, each) for each in resource_ids), strict=True)]


def _split(counter: Counter, resource_id: str) -> list[str]:
    """The parts of a resource id, from the right: of all parts only a name may hold a `/`."""
    return resource_id.rsplit("/", len(counter.breakdown))
