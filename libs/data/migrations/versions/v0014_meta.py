"""Opinions about the conversation itself."""

from alembic import op

revision = "0014"
down_revision = "0013"

# A column with a constant default rewrites nothing; audit rows, which the wider check goes through, are few.
META = """
ALTER TABLE voting.opinions ADD COLUMN meta boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN voting.opinions.meta IS 'About the conversation itself, as a moderator marked it: its priority is fixed.';
ALTER TABLE voting.moderation DROP CONSTRAINT moderation_moderation_action_check;
ALTER TABLE voting.moderation ADD CONSTRAINT moderation_moderation_action_check CHECK (moderation_action IN
    ('lock', 'unlock', 'accept', 'move', 'hide', 'restore', 'mark_meta', 'unmark_meta', 'delete'));
"""


def upgrade() -> None:
    op.execute(META)
