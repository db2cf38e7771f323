"""Opinions and votes put there by SQL, as listings find them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from tests.stored import Connection

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Stored:
    """An opinion as stored.

    Args:
        minute: when it was created; opinions may share one.
        group_votes: what the analysis says of it; None if it says nothing.
    """

    votes: tuple[int, int, int] = (0, 0, 0)
    state: str = "accepted"
    minute: int = 0
    author_id: UUID = field(default_factory=uuid4)
    group_votes: list[int] | None = None
    opinion_id: UUID = field(default_factory=uuid4)

    @property
    def created_time(self) -> datetime:
        return START + timedelta(minutes=self.minute)


async def store_conversation(db: Connection, opinions: Sequence[Stored] = (), minute: int = 0) -> UUID:
    conversation_id = uuid4()
    await db.execute(
        "INSERT INTO voting.conversations (conversation_id, title, description, created_time) VALUES ($1, 'Title', '', $2)",
        conversation_id,
        START + timedelta(minutes=minute),
    )
    await db.executemany(
        """
        INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, agree_count, disagree_count,
            pass_count, created_time)
        VALUES ($1, $2, $3, CASE $4 WHEN 'deleted' THEN '' ELSE 'Because.' END, $4, $5, $6, $7, $8)
        """,
        [(conversation_id, o.opinion_id, o.author_id, o.state, *o.votes, o.created_time) for o in opinions],
    )
    await db.executemany(
        "INSERT INTO voting.opinion_statistics (conversation_id, opinion_id, group_votes) VALUES ($1, $2, $3)",
        [(conversation_id, o.opinion_id, o.group_votes) for o in opinions if o.group_votes is not None],
    )
    return conversation_id


async def store_group(db: Connection, conversation_id: UUID, group_id: int, opinions: Sequence[Stored]) -> None:
    """What stands for a group, first things first."""
    await db.executemany(
        "INSERT INTO voting.group_opinions (conversation_id, group_id, place, opinion_id) VALUES ($1, $2, $3, $4)",
        [(conversation_id, group_id, place, o.opinion_id) for place, o in enumerate(opinions, 1)],
    )


async def store_votes(db: Connection, conversation_id: UUID, user_id: UUID, opinions: Sequence[Stored]) -> None:
    """Votes as they were imported, without counting them."""
    await db.executemany(
        "INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time) VALUES ($1, $2, $3, -1, $4)",
        [(conversation_id, user_id, o.opinion_id, START) for o in opinions],
    )
