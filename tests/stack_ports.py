"""Ports for a whole stack of the test's own."""

import random

from libs.devstack import ports
from libs.devstack.settings import StackSettings


def free_port_base() -> int:
    """A TALLY_PORT_BASE whose ports are all free, below the range that outgoing connections take theirs from."""
    while True:
        base = random.randrange(12000, 31000, 200)
        if not ports.taken(StackSettings(port_base=base, replicas=1, database_url="").ports()):
            return base
