"""A conversation that never took place, as ImportConversation takes it: the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from google.protobuf.timestamp_pb2 import Timestamp
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from libs.cli.callers.importing import pieces

_START = 1_700_000_000  # seconds since 1970; nothing depends on it
_SUBJECTS = ("Main Street", "the old market", "the river bank", "the school yard", "the station", "the library")
_WISHES = ("should be closed to cars on weekends", "needs more shade", "is good as it is", "should be open at night")
# People think alike in two camps, of which two of three opinions divide the one from the other.
_CAMPS, _KINDS = 2, 3
_CHOICES = (resources.VOTE_AGREE, resources.VOTE_DISAGREE, resources.VOTE_PASS)
_FOR, _AGAINST = (75, 10, 15), (10, 65, 25)


@dataclass(frozen=True)
class GeneratedConversation:
    """So many people's votes, one a person and opinion; opinions and people are numbered from 0.

    Args:
        votes: at most half of what all people could cast. Half of them are on a quarter of the opinions.
    """

    external_id: str
    opinions: int
    votes: int
    people: int
    seed: int = 1

    def __post_init__(self) -> None:
        assert self.votes * 2 <= self.opinions * self.people, "choosing opinions would take long"
        assert self.people <= self.votes, "everybody votes"

    @property
    def conversation_id(self) -> str:
        return str(uuid5(NAMESPACE_URL, self.external_id))

    def pieces(self) -> Iterator[messages.ImportConversationRequest]:
        """What imports it."""
        return pieces(self.header, self.all_opinions(), self.all_votes())

    @property
    def header(self) -> transfer.ConversationHeader:
        title = f"{self.people:,} people about {self.opinions:,} opinions"
        return transfer.ConversationHeader(external_id=self.external_id, title=title)

    def all_opinions(self) -> Iterator[transfer.TransferredOpinion]:
        chance = random.Random(self.seed)  # noqa: S311  # a scenario, not a secret
        for number in range(self.opinions):
            yield transfer.TransferredOpinion(
                external_id=str(number),
                author_external_id=str(chance.randrange(self.people)),
                body=f"{chance.choice(_SUBJECTS)} {chance.choice(_WISHES)} ({number})",
                created_time=Timestamp(seconds=_START + number),
            )

    def all_votes(self) -> Iterator[transfer.TransferredVote]:
        """By time."""
        chance = random.Random(self.seed)  # noqa: S311  # the same
        time = _START + self.opinions
        for person in range(self.people):
            name = str(person)
            share = self.votes // self.people + (person < self.votes % self.people)
            chosen: dict[int, None] = {}
            while len(chosen) < share:
                chosen[int(self.opinions * chance.random() ** 2)] = None
            for opinion in chosen:
                time += 1
                kind = opinion % _KINDS
                weights = _FOR if kind in (person % _CAMPS, _CAMPS) else _AGAINST
                yield transfer.TransferredVote(
                    opinion_external_id=str(opinion),
                    participant_external_id=name,
                    vote=chance.choices(_CHOICES, weights)[0],
                    vote_time=Timestamp(seconds=time),
                )
