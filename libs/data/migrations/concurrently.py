"""CREATE INDEX CONCURRENTLY that can be repeated."""

from alembic import op
from sqlalchemy import text


def create_index(schema: str, name: str, kind: str, definition: str) -> None:
    """Builds an index without blocking writers; must run in an autocommit block.

    A build that failed leaves an INVALID index of that name behind: it is dropped first, so running the migration again
    mends it.
    """
    valid = (
        op.get_bind()
        .execute(
            text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)"),
            {"index": f"{schema}.{name}"},
        )
        .scalar()
    )
    if valid is False:
        op.execute(f"DROP INDEX CONCURRENTLY {schema}.{name}")
    if valid is not True:
        op.execute(f"CREATE {kind} CONCURRENTLY {name} {definition}")
