"""Whether a service that has answered many calls holds more memory than one that has answered some."""

import time

from libs.cli.callers.fleet import Fleet
from libs.cli.callers.orders import Order
from libs.cli.output import errors
from tests.load.results import Memory
from tests.load.servers import Server
from tests.load.stage import Stage

_PETITIONS = 1_000


def measure_memory(stage: Stage, clients: Fleet, petition: Server, first: int, last: int) -> Memory:
    """Calls half of which sign one of many petitions and half of which read a count; memory is looked at twice."""
    resources = stage.petitions(_PETITIONS)
    made = 0

    def call(until: int) -> int:
        nonlocal made
        while made < until:
            for method in ("CoSign", "GetCoSignerCount"):
                calls = min(10_000, until - made)
                if calls:
                    order = Order(address=petition.address, method=method, resources=resources, calls=calls)
                    outcome = clients.run(order)
                    assert not outcome.failures, outcome.failures
                    made += calls
            errors.print(f"{made:,} calls, {petition.resident_bytes() / 1e6:,.1f} MB", style="dim")
        time.sleep(1.0)  # lines and measurements of the last calls are made
        return petition.resident_bytes()

    first_bytes = call(first)
    last_bytes = call(last)
    return Memory(first_calls=first, first_bytes=first_bytes, last_calls=last, last_bytes=last_bytes)
