"""Sending a Polis export to the voting service, through one stream."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import grpc
from pydantic import BaseModel, computed_field
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli import polis_reading
from libs.cli.callers.reasons import reason, reason_of
from libs.cli.load_progress import progress
from libs.cli.output import console, print_facts
from libs.cli.polis_reading import COMMENTS, VOTES, BrokenRow
from libs.devstack.errors import DevstackError

VOTES_OF_A_MESSAGE = 1_000
# Rows left out that are told one by one; the service tells as many.
MOST_TOLD = 1_000
_SHOWN = 20

Advance = Callable[[int], None]


class LeftOut(BaseModel):
    """A row that was not imported."""

    file: str
    line: int
    reason: str


class ImportReport(BaseModel):
    """What became of an import: what the conversation has after it, and of the rows, those that were sent, that changed
    nothing, that are broken, and that the service rejected.

    Args:
        left_out: the first of the broken and of the rejected rows.
    """

    conversation_id: str
    opinion_count: int
    vote_count: int
    participant_count: int
    sent: int
    unchanged: int
    broken: int
    rejected: int
    left_out: list[LeftOut]
    seconds: float
    rows_per_second: float

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def complete(self) -> bool:
        """Every row is in the conversation, or something newer is."""
        return not self.broken and not self.rejected


def run(folder: Path, address: str, external_id: str | None) -> ImportReport:
    """Imports the folder's conversation.

    Raises:
        DevstackError: the folder holds none, or the service ended the import; what it stored before stays.
    """
    polis_reading.check(folder)
    header = polis_reading.read_header(folder, external_id)
    sending = _Sending(folder)
    start = time.perf_counter()
    with grpc.insecure_channel(address) as channel, progress("lines", _lines(folder)) as advance:
        try:
            answer = VotingServiceStub(channel).ImportConversation(sending.requests(header, advance))
        except grpc.RpcError as error:
            raise sending.failure(error) from error
    seconds = time.perf_counter() - start
    rejected = sending.rejected(answer.rejected)
    return ImportReport(
        conversation_id=answer.conversation_id,
        opinion_count=answer.opinion_count,
        vote_count=answer.vote_count,
        participant_count=answer.participant_count,
        sent=sending.sent,
        unchanged=answer.unchanged_count,
        broken=sending.broken_count,
        rejected=answer.rejected_count,
        left_out=[LeftOut(**row._asdict()) for row in (*sending.broken, *rejected)],
        seconds=seconds,
        rows_per_second=sending.sent / seconds,
    )


class _Sending:
    """Turns a folder's rows into the stream's messages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failed: Exception | None = None
        self.sent = 0
        self.broken_count = 0
        self.broken: list[BrokenRow] = []

    def requests(
        self, header: transfer.ConversationHeader, advance: Advance
    ) -> Iterator[messages.ImportConversationRequest]:
        """Every message. gRPC asks for them from a thread of its own, in which an exception would be lost."""
        try:
            yield messages.ImportConversationRequest(header=header)
            comments: set[str] = set()
            done = 0
            for line, opinion in polis_reading.read_comments(self._folder, self._tell):
                comments.add(opinion.external_id)
                yield messages.ImportConversationRequest(opinion=opinion)
                self.sent += 1
                advance(line - done)
                done = line
            rows = polis_reading.read_votes(self._folder, comments, self._tell)
            done = 0
            while many := list(islice(rows, VOTES_OF_A_MESSAGE)):
                votes = transfer.TransferredVotes(votes=[vote for _, vote in many])
                yield messages.ImportConversationRequest(votes=votes)
                self.sent += len(many)
                advance(many[-1][0] - done)
                done = many[-1][0]
        except Exception as error:
            self._failed = error
            raise

    def _tell(self, row: BrokenRow) -> None:
        self.broken_count += 1
        if len(self.broken) < MOST_TOLD:
            self.broken.append(row)

    def failure(self, error: grpc.RpcError) -> Exception:
        """Why there is no answer."""
        if isinstance(self._failed, DevstackError):
            return self._failed
        call = cast("grpc.Call", error)
        told = f"{reason(call)}: {call.details()}"
        return DevstackError(f"the import ended early, {told}; what was stored stays, and importing again goes on")

    def rejected(self, items: Iterable[messages.RejectedItem]) -> Iterator[BrokenRow]:
        """The rows that the service left out, looked up by reading the files once more."""
        reasons = {item.index: f"{reason_of(item.error)}: {item.error.message}" for item in items}
        if not reasons:
            return
        for number, (file, line) in enumerate(self._places(), start=1):
            if number in reasons:
                yield BrokenRow(file, line, reasons[number])

    def _places(self) -> Iterator[tuple[str, int]]:
        """File and line of every item, in the order of the stream."""
        comments: set[str] = set()
        for line, opinion in polis_reading.read_comments(self._folder, _ignore):
            comments.add(opinion.external_id)
            yield COMMENTS, line
        for line, _ in polis_reading.read_votes(self._folder, comments, _ignore):
            yield VOTES, line


def _ignore(row: BrokenRow) -> None:
    """Told before."""


def _lines(folder: Path) -> int:
    """Of both files."""
    total = 0
    for name in (COMMENTS, VOTES):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                total += block.count(b"\n")
    return total


def show(report: ImportReport) -> None:
    print_facts(
        (
            ("conversation", report.conversation_id),
            ("opinions", f"{report.opinion_count:,}"),
            ("votes", f"{report.vote_count:,}"),
            ("participants", f"{report.participant_count:,}"),
            ("rows sent", f"{report.sent:,}"),
            ("rows that changed nothing", f"{report.unchanged:,}"),
            ("broken rows", f"{report.broken:,}"),
            ("rejected rows", f"{report.rejected:,}"),
            ("seconds", f"{report.seconds:.1f}"),
            ("rows/s", f"{report.rows_per_second:,.0f}"),
        )
    )
    for row in report.left_out[:_SHOWN]:
        console.print(f"{row.file}:{row.line}: {row.reason}", markup=False)
    if (more := report.broken + report.rejected - min(_SHOWN, len(report.left_out))) > 0:
        console.print(f"… and {more:,} more; --json tells up to {MOST_TOLD:,} of each kind")
    console.print("[green]all imported[/]" if report.complete else "[red]rows were left out[/]")
