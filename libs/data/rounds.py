"""How far rounds of reconciliation have come in the stream of events."""

from libs.data.transaction import Snapshot, Transaction

# Where no round has ended yet, the first begins with what is not visible yet.
BEGIN = """
SELECT coalesce((SELECT until FROM operations.reconciliation_rounds WHERE job_type = $1),
                pg_snapshot_xmin(pg_current_snapshot()))::text::bigint
"""
END = """
INSERT INTO operations.reconciliation_rounds (job_type, until) VALUES ($1, $2::text::xid8)
ON CONFLICT (job_type) DO UPDATE SET until = EXCLUDED.until, ended_time = EXCLUDED.ended_time
"""


async def begin(snapshot: Snapshot, job_type: str) -> int:
    """The transaction id from which on the next round looks."""
    since: int = await snapshot.fetchval(BEGIN, job_type)
    return since


async def end(tx: Transaction, job_type: str, until: int) -> None:
    """The next round looks at what is not older than this transaction id."""
    await tx.execute(END, job_type, str(until))
