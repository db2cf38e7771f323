"""The counter of a petition's signatures, added to a table that may hold rows and be in use."""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"

BATCH = 500

# A constant default is metadata only; NOT VALID takes its lock for a moment, VALIDATE scans without blocking writers. All of
# it can be repeated: the back-fill commits as it goes, so a migrator that was killed in it has left the columns behind.
COLUMNS = """
ALTER TABLE petition.petition_submissions
    ADD COLUMN IF NOT EXISTS co_signer_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS signature_rank integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT IF EXISTS petition_submissions_co_signer_count_check;
ALTER TABLE petition.petition_submissions
    ADD CONSTRAINT petition_submissions_co_signer_count_check CHECK (co_signer_count >= 0) NOT VALID;
COMMENT ON COLUMN petition.petition_submissions.co_signer_count IS
    'Signatures that stand: equals the rows of petition.co_signs at every commit. Changed only under the row''s lock.';
COMMENT ON COLUMN petition.petition_submissions.signature_rank IS
    'operations.rank_of(co_signer_count): coarse, order-preserving, indexed in its place.';
"""

# Under the same row lock every writer takes, and counted in a statement of its own after the lock: a statement that both
# locks and counts would count by the snapshot it had before it waited.
LOCK = """
SELECT petition_id FROM petition.petition_submissions
WHERE petition_id > :after ORDER BY petition_id LIMIT :batch FOR NO KEY UPDATE
"""
COUNT = """
UPDATE petition.petition_submissions p
SET co_signer_count = counted.n, signature_rank = operations.rank_of(counted.n)
FROM (
    SELECT locked.petition_id, count(c.petition_id)::integer AS n
    FROM unnest(CAST(:locked AS uuid[])) AS locked(petition_id) LEFT JOIN petition.co_signs c USING (petition_id)
    GROUP BY 1
) counted
WHERE p.petition_id = counted.petition_id
  AND (p.co_signer_count, p.signature_rank) IS DISTINCT FROM (counted.n, operations.rank_of(counted.n))
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        after = "00000000-0000-0000-0000-000000000000"
        while True:
            connection.exec_driver_sql("BEGIN")
            locked = connection.execute(text(LOCK), {"after": after, "batch": BATCH}).scalars().all()
            if locked:
                connection.execute(text(COUNT), {"locked": locked})
            connection.exec_driver_sql("COMMIT")
            if not locked:
                break
            after = locked[-1]
        op.execute(
            "ALTER TABLE petition.petition_submissions VALIDATE CONSTRAINT petition_submissions_co_signer_count_check"
        )
