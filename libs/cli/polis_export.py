"""Writing a conversation in the files that Polis exports."""

import csv
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, TextIO, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli.callers.reasons import reason
from libs.cli.load_progress import progress
from libs.cli.output import console, print_facts
from libs.cli.polis_reading import CHOICES, COMMENTS, SUMMARY, VOTES
from libs.devstack.errors import DevstackError

# Polis' own columns, in Polis' order.
COMMENT_HEADER = (
    *("timestamp", "datetime", "comment-id", "author-id"),
    *("agrees", "disagrees", "moderated", "comment-body"),
)
VOTE_HEADER = ("timestamp", "datetime", "comment-id", "voter-id", "vote")
_NUMBERS = {choice: int(number) for number, choice in CHOICES.items()}
_SECONDS = 30.0


class ExportReport(BaseModel):
    """What was written."""

    conversation_id: str
    folder: str
    opinions: int
    votes: int
    participants: int
    seconds: float


def run(conversation_id: str, folder: Path, address: str) -> ExportReport:
    """Writes the three files; they appear together, once all is written.

    Raises:
        DevstackError: there are such files already, or the service did not answer all.
    """
    if there := [name for name in (COMMENTS, VOTES, SUMMARY) if (folder / name).exists()]:
        raise DevstackError(f"there is a {there[0]} in {folder} already")
    start = time.perf_counter()
    with grpc.insecure_channel(address) as channel:
        stub = VotingServiceStub(channel)
        try:
            get = messages.GetConversationRequest(conversation_id=conversation_id)
            counts = stub.GetConversation(get, timeout=_SECONDS).conversation.counts
            pieces = stub.ExportConversation(messages.ExportConversationRequest(conversation_id=conversation_id))
            folder.mkdir(parents=True, exist_ok=True)
            with progress("opinions and votes", counts.opinion_count + counts.vote_count) as advance:
                written = _Writing(folder)
                written.all(_watched(pieces, advance))
        except grpc.RpcError as error:
            call = cast("grpc.Call", error)
            raise DevstackError(f"the export failed, {reason(call)}: {call.details()}") from error
        except OSError as error:
            raise DevstackError(f"cannot write to {folder}: {error.strerror}") from error
    return ExportReport(
        conversation_id=conversation_id,
        folder=str(folder),
        opinions=len(written.opinions),
        votes=written.votes,
        participants=len(written.voters),
        seconds=time.perf_counter() - start,
    )


def _watched(
    pieces: Iterable[messages.ExportConversationResponse], advance: Any
) -> Iterator[messages.ExportConversationResponse]:
    for piece in pieces:
        yield piece
        advance(len(piece.votes.votes) or piece.HasField("opinion"))


class _Writing:
    """Writes votes as they come, and comments after them, because they tell how the votes stand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._header = transfer.ConversationHeader()
        self._standing: Counter[tuple[str, int]] = Counter()
        self.opinions: list[transfer.TransferredOpinion] = []
        self.voters: set[str] = set()
        self.votes = 0

    def all(self, pieces: Iterable[messages.ExportConversationResponse]) -> None:
        with ExitStack() as files:
            comments, votes, summary = (
                files.enter_context(_new(self._folder / name)) for name in (COMMENTS, VOTES, SUMMARY)
            )
            rows = _writer(votes)
            rows.writerow(VOTE_HEADER)
            for piece in pieces:
                kind = piece.WhichOneof("item")
                if kind == "votes":
                    rows.writerows(map(self._vote, piece.votes.votes))
                elif kind == "opinion":
                    self.opinions.append(piece.opinion)
                else:
                    self._header = piece.header
            self._write_comments(comments)
            self._write_summary(summary)
        for name in (COMMENTS, VOTES, SUMMARY):
            _part(self._folder / name).replace(self._folder / name)

    def _vote(self, vote: transfer.TransferredVote) -> tuple[object, ...]:
        number = _NUMBERS[vote.vote]
        self._standing[vote.opinion_external_id, number] += 1
        self.voters.add(vote.participant_external_id)
        self.votes += 1
        return (*_times(vote.vote_time), vote.opinion_external_id, vote.participant_external_id, number)

    def _write_comments(self, file: TextIO) -> None:
        rows = _writer(file)
        rows.writerow(COMMENT_HEADER)
        for opinion in self.opinions:
            name = opinion.external_id
            agrees, disagrees = self._standing[name, 1], self._standing[name, -1]
            ids = (name, opinion.author_external_id)
            rows.writerow((*_times(opinion.created_time), *ids, agrees, disagrees, opinion.moderation, opinion.body))

    def _write_summary(self, file: TextIO) -> None:
        """What Polis writes, but for what is not known here: views and groups."""
        _writer(file).writerows(
            (
                ("topic", self._header.title),
                ("url", self._header.external_id),
                ("voters", len(self.voters)),
                ("voters-in-conv", len(self.voters)),
                ("commenters", len({opinion.author_external_id for opinion in self.opinions})),
                ("comments", len(self.opinions)),
                ("conversation-description", self._header.description),
            )
        )


def _part(path: Path) -> Path:
    return path.with_suffix(".part")


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    """A file under another name, until all is there; gone if it never is."""
    part = _part(path)
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            yield file
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _writer(file: TextIO) -> Any:
    # Python's csv quotes a bare carriage return only where lines end in one.
    return csv.writer(file, lineterminator="\r\n")


def _times(timestamp: Timestamp) -> tuple[str, str]:
    """Milliseconds since 1970, with three more digits only where there are microseconds to tell, and the time in words."""
    microseconds = timestamp.seconds * 1_000_000 + timestamp.nanos // 1000
    milliseconds, rest = divmod(abs(microseconds), 1000)
    number = f"{'-' if microseconds < 0 else ''}{milliseconds}{f'.{rest:03}' if rest else ''}"
    return number, timestamp.ToDatetime(UTC).strftime("%a %b %d %H:%M:%S UTC %Y")


def show(report: ExportReport) -> None:
    print_facts(
        (
            ("folder", report.folder),
            ("opinions", f"{report.opinions:,}"),
            ("votes", f"{report.votes:,}"),
            ("participants", f"{report.participants:,}"),
            ("seconds", f"{report.seconds:.1f}"),
        )
    )
    console.print("[green]all written[/]")
