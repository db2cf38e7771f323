"""Conversations that a demo can begin with: one that took place and was exported by Polis, or one that never did."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages

from libs.cli import polis_reading
from libs.cli.callers.generated import GeneratedConversation
from libs.cli.callers.importing import pieces
from libs.devstack.settings import SOURCE_ROOT

# 197 opinions and 49,997 votes of 1,921 people, where it is there.
REAL = SOURCE_ROOT.parent / "shared" / "data" / "polis" / "vtaiwan.uberx"
OPINIONS, VOTES, PEOPLE = 60, 6_000, 300


@dataclass(frozen=True)
class Source:
    """Opinions and votes, to be imported as a conversation of its own; a person's later votes may replace earlier ones."""

    title: str
    description: str
    opinions: list[transfer.TransferredOpinion]
    votes: list[transfer.TransferredVote]

    def requests(self) -> Iterator[messages.ImportConversationRequest]:
        header = transfer.ConversationHeader(
            external_id=f"https://tally.example/demo/{uuid4()}", title=self.title, description=self.description
        )
        return pieces(header, self.opinions, self.votes)

    def standing(self) -> Iterable[transfer.TransferredVote]:
        """The votes that count: each person's latest on each opinion, of two at the same time the one that comes later."""
        latest: dict[tuple[str, str], transfer.TransferredVote] = {}
        for vote in self.votes:
            key = (vote.opinion_external_id, vote.participant_external_id)
            before = latest.get(key)
            if before is None or _time(before) <= _time(vote):
                latest[key] = vote
        return latest.values()


def source(folder: Path | None, seed: int) -> Source:
    """What is in the folder; without one, the real conversation where it is there, else a generated one."""
    if folder is None and not REAL.is_dir():
        return _generated(seed)
    return _exported(folder or REAL)


def _exported(folder: Path) -> Source:
    """By Polis; rows that are broken are left out, as by `tally import-polis`."""
    polis_reading.check(folder)
    header = polis_reading.read_header(folder, None)
    opinions = [opinion for _, opinion in polis_reading.read_comments(folder, _ignore)]
    there = {opinion.external_id for opinion in opinions}
    votes = [vote for _, vote in polis_reading.read_votes(folder, there, _ignore)]
    return Source(header.title, header.description, opinions, votes)


def _generated(seed: int) -> Source:
    made = GeneratedConversation("https://tally.example/generated", OPINIONS, VOTES, PEOPLE, seed)
    return Source(made.header.title, "", list(made.all_opinions()), list(made.all_votes()))


def _time(vote: transfer.TransferredVote) -> tuple[int, int]:
    return vote.vote_time.seconds, vote.vote_time.nanos


def _ignore(row: polis_reading.BrokenRow) -> None:
    """`tally import-polis` tells of them."""
