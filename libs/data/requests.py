"""One answer a request id, for writes that keep no trace of their own of who asked (G5).

The answer is stored in the transaction of the write, so it exists exactly when the write does.
"""

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from libs.data.commit_tokens import CommitToken, encode_token
from libs.data.database import Committed
from libs.data.errors import FieldViolation, InvalidInput
from libs.data.transaction import Transaction

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Replay(Generic[A]):
    """The answer given to the same request before, and its commit."""

    answer: A
    token: CommitToken


def first_answer(committed: Committed[A | Replay[A]]) -> tuple[A, CommitToken, bool]:
    """The answer, the token of the commit that made it true, and whether it is given again."""
    value = committed.value
    if isinstance(value, Replay):
        return value.answer, value.token, True
    return value, committed.token or "", False


class Requests(Generic[A]):
    """The requests of one RPC and their answers.

    Args:
        schema: whose `requests` table holds them.
        method: the RPC's name; the same id for another method is a mistake of the caller.
        answer: a dataclass; stored as JSON.
    """

    def __init__(self, schema: str, method: str, answer: type[A]) -> None:
        self._method = method
        self._answers = TypeAdapter(answer)
        table = f"{schema}.requests"
        self._claim = (
            f"INSERT INTO {table} (request_id, fingerprint) VALUES ($1, $2) ON CONFLICT (request_id) DO NOTHING"
        )
        self._find = (
            f"SELECT fingerprint, answer::text AS answer, commit_xid::text::bigint AS xid FROM {table} "
            "WHERE request_id = $1"
        )
        self._record = f"UPDATE {table} SET answer = $2::text::jsonb WHERE request_id = $1"

    async def claim(self, transaction: Transaction, request_id: UUID, *content: object) -> Replay[A] | None:
        """None if this transaction is the first to see the request; else what it was answered.

        A second caller with the same id waits here until the first one's transaction has ended.

        Args:
            content: what the request says; saying something else under the same id is refused.

        Raises:
            InvalidInput: the id was used for another request.
        """
        fingerprint = hashlib.sha256(repr((self._method, *content)).encode()).digest()
        if await transaction.execute(self._claim, request_id, fingerprint):
            return None
        row = await transaction.fetchrow(self._find, request_id)
        assert row is not None and row["answer"] is not None
        if row["fingerprint"] != fingerprint:
            violation = FieldViolation("request_id", "was used before, for a request that said something else")
            raise InvalidInput([violation], reason="REQUEST_ID_REUSED")
        return Replay(self._answers.validate_json(row["answer"]), encode_token(row["xid"]))

    async def record(self, transaction: Transaction, request_id: UUID, answer: A) -> None:
        """Stores the answer; must follow a `claim` that answered None, in the same transaction."""
        stored = self._answers.dump_json(answer).decode()
        recorded = await transaction.execute(self._record, request_id, stored)
        assert recorded == 1, "recorded without a claim"
