"""What the aggregator refuses, each with its reason."""

from libs.data.errors import NotFound


class CounterNotFound(NotFound):
    reason = "COUNTER_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no counter {name!r}; ListCounters lists them")


class ResourceNotFound(NotFound):
    reason = "RESOURCE_NOT_FOUND"

    def __init__(self, name: str, resource_id: str) -> None:
        super().__init__(f"counter {name} has no resource {resource_id!r}")
