"""Indexes of signatures and rankings, built without blocking anybody."""

from alembic import op

from libs.data.migrations.concurrently import create_index

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        create_index(
            "petition",
            "idx_co_signs_petition_id",
            "UNIQUE INDEX",
            "ON petition.co_signs (petition_id, ordinal)",
        )
        create_index(
            "petition",
            "petition_submissions_rank",
            "INDEX",
            "ON petition.petition_submissions (signature_rank DESC, petition_id DESC) WHERE state <> 'withdrawn'",
        )
        create_index(
            "petition",
            "petition_submissions_newest",
            "INDEX",
            "ON petition.petition_submissions (petition_id DESC) WHERE state <> 'withdrawn'",
        )
