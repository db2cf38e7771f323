"""What an import brings: pieces of a conversation, under the ids they had where they come from."""

from dataclasses import dataclass
from datetime import datetime

from services.voting.model import Choice, OpinionState


@dataclass(frozen=True, slots=True)
class Header:
    """Which conversation comes."""

    external_id: str
    title: str
    description: str


@dataclass(slots=True)
class OpinionItem:
    """An opinion that comes.

    Args:
        number: its place in the stream.
        opinion, author: external ids.
        created_time: None for now.
    """

    number: int
    opinion: str
    author: str
    body: str
    state: OpinionState
    created_time: datetime | None


@dataclass(slots=True)
class VoteItem:
    """A vote that comes.

    Args:
        number: its place in the stream.
        opinion, participant: external ids.
    """

    number: int
    opinion: str
    participant: str
    choice: Choice
    vote_time: datetime


Item = OpinionItem | VoteItem
