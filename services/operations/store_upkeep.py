"""Taking away what is old."""

from datetime import timedelta

from libs.data.transaction import Transaction


async def prune_events(tx: Transaction, retention: timedelta, at_most: int) -> int:
    """Deletes the oldest events that are older than so, and that nobody has still to read; how many that were."""
    pruned: int = await tx.fetchval("SELECT operations.prune_events($1, $2)", retention, at_most)
    return pruned
