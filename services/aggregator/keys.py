"""How counters and resources are named by callers."""

import re

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter
from libs.data.errors import FieldViolation, InvalidInput
from services.aggregator.errors import CounterNotFound

# Counter's name and canonical resource id, as events name them.
Key = tuple[str, str]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PART = re.compile(r"[^\x00-\x1f\x7f/]+")


def find_counter(name: str) -> Counter:
    counter = COUNTERS.get(name)
    if counter is None:
        raise CounterNotFound(name)
    return counter


def canonical(counter: Counter, resource_id: str, field: str = "key.resource_id") -> Key:
    """The key with its UUID in lower case.

    Raises:
        InvalidInput: the id is not one of this counter's.
    """
    aggregate_id, *parts = resource_id.split("/", len(counter.breakdown))
    good = _UUID.fullmatch(aggregate_id) and len(parts) == len(counter.breakdown)
    if not good or not all(_PART.fullmatch(part) for part in parts):
        wanted = "a UUID" if not counter.breakdown else f"a UUID and what follows in {counter.resource}"
        raise InvalidInput([FieldViolation(field, f"must be {wanted}")])
    return counter.name, "/".join((aggregate_id.lower(), *parts))


def columns(counter: Counter, resource_ids: list[str]) -> list[list[str]]:
    """Canonical resource ids as one list a key column."""
    parts = [resource_id.split("/", len(counter.breakdown)) for resource_id in resource_ids]
    return [list(column) for column in zip(*parts, strict=True)]
