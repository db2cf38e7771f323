"""Commit tokens: a write transaction's xid8 as an opaque string.

"Is that write visible to this snapshot yet?" is `xid < pg_snapshot_xmin(snapshot)`, on the primary and on a replica. Never
`pg_visible_in_snapshot()`: a standby's snapshot lists no running transactions, and it answers true for one that still runs.
"""

from libs.data.errors import FieldViolation, InvalidInput

CommitToken = str


def encode_token(xid: int) -> CommitToken:
    return f"{xid:x}"


def decode_token(token: CommitToken, field: str = "consistency.at_least") -> int:
    """The xid a token stands for.

    Raises:
        InvalidInput: not a token.
    """
    try:
        return int(token, 16)
    except ValueError:
        raise unknown_token(field) from None


def unknown_token(field: str = "consistency.at_least") -> InvalidInput:
    """For a token that no transaction of this database has had."""
    violation = FieldViolation(field, "is not a commit token of this database")
    return InvalidInput([violation], reason="UNKNOWN_COMMIT_TOKEN")
