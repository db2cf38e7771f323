"""Reading a Polis export, row by row. A row that is broken is told with its file, line and reason, and left out."""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from google.protobuf.message import Message
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_pb2 as resources

from libs.devstack.errors import DevstackError
from libs.rpc.validation import violations

COMMENTS, VOTES, SUMMARY = "comments.csv", "votes.csv", "summary.csv"
COMMENT_COLUMNS = ("timestamp", "comment-id", "author-id", "moderated", "comment-body")
VOTE_COLUMNS = ("timestamp", "comment-id", "voter-id", "vote")
MODERATED = {"-1": -1, "0": 0, "1": 1}
CHOICES = {"1": resources.VOTE_AGREE, "-1": resources.VOTE_DISAGREE, "0": resources.VOTE_PASS}

# The columns that fields of the messages come from.
_COLUMN_OF = {
    "external_id": "comment-id",
    "author_external_id": "author-id",
    "body": "comment-body",
    "participant_external_id": "voter-id",
}
_LONGEST_TITLE, _LONGEST_DESCRIPTION = 200, 20_000
# Voters that are kept in mind.
_REMEMBERED = 100_000
# Milliseconds since 1970, where needed with three more digits.
_TIME = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,3}))?", re.ASCII).fullmatch
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # of the years 1 and 9999


class BrokenRow(NamedTuple):
    """A row that was left out, and why. Its line is the one of the file where it begins; the first is 1."""

    file: str
    line: int
    reason: str


Tell = Callable[[BrokenRow], None]


class _Broken(Exception):
    """Why a row is broken."""


def check(folder: Path) -> None:
    """Raises DevstackError unless there are comments and votes with the columns that are needed."""
    for name, columns in ((COMMENTS, COMMENT_COLUMNS), (VOTES, VOTE_COLUMNS)):
        with _opened(folder / name) as file:
            _places(csv.reader(file, strict=True), folder / name, columns)


def read_header(folder: Path, external_id: str | None) -> transfer.ConversationHeader:
    """The summary's topic in one line, cut to 200 characters, its description and its url; the name of the folder stands
    for what is missing.

    Args:
        external_id: instead of the url.

    Raises:
        DevstackError: this makes no conversation.
    """
    summary: dict[str, str] = {}
    if (folder / SUMMARY).exists():
        with _opened(folder / SUMMARY) as file:
            summary = {row[0]: row[1] for row in csv.reader(file) if len(row) >= 2}
    name = folder.resolve().name
    try:
        header = transfer.ConversationHeader(
            external_id=external_id or summary.get("url", "").strip() or name,
            title=(" ".join(summary.get("topic", "").split()) or name)[:_LONGEST_TITLE],
            description=summary.get("conversation-description", "")[:_LONGEST_DESCRIPTION],
        )
    except ValueError as error:
        raise DevstackError(f"{folder / SUMMARY} is not UTF-8") from error
    if bad := violations(header):
        raise DevstackError(f"{folder}: {'; '.join(f'{v.field} {v.description}' for v in bad)}")
    return header


def read_comments(folder: Path, tell: Tell) -> Iterator[tuple[int, transfer.TransferredOpinion]]:
    """The good rows, each with its line."""
    for line, fields in _rows(folder / COMMENTS, COMMENT_COLUMNS, tell):
        try:
            yield line, _to_opinion(*fields)
        except _Broken as broken:
            tell(BrokenRow(COMMENTS, line, str(broken)))


def read_votes(folder: Path, comments: Collection[str], tell: Tell) -> Iterator[tuple[int, transfer.TransferredVote]]:
    """The good rows, each with its line.

    Args:
        comments: the ids of those that votes can be on.
    """
    good: set[str] = set()  # voters, whose votes need not be validated again
    for line, (timestamp, comment, voter, choice) in _rows(folder / VOTES, VOTE_COLUMNS, tell):
        try:
            if comment not in comments:
                raise _Broken(f"comment-id {comment!r}: there is no such comment")
            vote = _to_vote(timestamp, comment, voter, choice)
            if voter not in good:
                _refuse(vote)
                if len(good) >= _REMEMBERED:
                    good.clear()
                good.add(voter)
            yield line, vote
        except _Broken as broken:
            tell(BrokenRow(VOTES, line, str(broken)))


def _to_opinion(timestamp: str, comment: str, author: str, moderated: str, body: str) -> transfer.TransferredOpinion:
    if moderated not in MODERATED:
        raise _Broken(f"moderated {moderated!r}: must be -1, 0 or 1")
    seconds, nanos = _time(timestamp)
    try:
        opinion = transfer.TransferredOpinion(
            external_id=comment, author_external_id=author, body=body, moderation=MODERATED[moderated]
        )
    except ValueError:
        raise _Broken("is not UTF-8") from None
    opinion.created_time.seconds, opinion.created_time.nanos = seconds, nanos
    _refuse(opinion)
    return opinion


def _to_vote(timestamp: str, comment: str, voter: str, vote: str) -> transfer.TransferredVote:
    choice = CHOICES.get(vote)
    if choice is None:
        raise _Broken(f"vote {vote!r}: must be -1, 0 or 1")
    seconds, nanos = _time(timestamp)
    try:
        return transfer.TransferredVote(
            opinion_external_id=comment,
            participant_external_id=voter,
            vote=choice,
            vote_time={"seconds": seconds, "nanos": nanos},  # type: ignore[arg-type]  # set inside the runtime
        )
    except ValueError:
        raise _Broken("is not UTF-8") from None


def _time(text: str) -> tuple[int, int]:
    """Seconds and nanoseconds of a timestamp in milliseconds."""
    match = _TIME(text)
    if match is None:
        raise _Broken(f"timestamp {text!r}: must be milliseconds since 1970")
    sign, milliseconds, fraction = match.groups()
    microseconds = int(milliseconds) * 1000 + (int(fraction.ljust(3, "0")) if fraction else 0)
    seconds, microseconds = divmod(-microseconds if sign else microseconds, 1_000_000)
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise _Broken(f"timestamp {text!r}: must be a time between the years 1 and 9999")
    return seconds, microseconds * 1000


def _refuse(message: Message) -> None:
    if bad := violations(message):
        raise _Broken("; ".join(f"{_COLUMN_OF.get(v.field, v.field)}: {v.description}" for v in bad))


def _rows(path: Path, columns: Sequence[str], tell: Tell) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The fields of each row in the order of the columns, with the line where the row begins."""
    with _opened(path) as file:
        reader = csv.reader(file, strict=True)
        places, width = _places(reader, path, columns)
        fields_of = itemgetter(*places)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines = f", up to line {reader.line_num}" if reader.line_num > line else ""
                tell(BrokenRow(path.name, line, f"{error}{lines}"))
                continue
            if len(row) == width:
                yield line, fields_of(row)
            elif row:  # an empty line is none
                tell(BrokenRow(path.name, line, f"has {len(row)} columns instead of {width}"))


def _places(reader: Iterator[list[str]], path: Path, columns: Sequence[str]) -> tuple[list[int], int]:
    """Where the columns are, and how many there are in all."""
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise DevstackError(f"{path}: {error}") from error
    if missing := [column for column in columns if column not in names]:
        raise DevstackError(f"{path} has no column {', '.join(missing)}")
    return [names.index(column) for column in columns], len(names)


def _opened(path: Path) -> TextIO:
    """The file, whose bytes that are not UTF-8 are kept to be found in their row."""
    try:
        return cast(TextIO, path.open(newline="", encoding="utf-8-sig", errors="surrogateescape"))
    except OSError as error:
        raise DevstackError(f"cannot read {path}: {error.strerror}") from error
