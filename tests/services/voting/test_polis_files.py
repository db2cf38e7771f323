"""`tally import-polis` and `tally export-polis`, against a service and with the files that Polis writes."""

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.cli import polis_export, polis_import
from libs.cli.scenario.sources import REAL
from libs.devstack.errors import DevstackError
from libs.rpc.server import serving
from services.voting.__main__ import compose
from services.voting.settings import VotingSettings
from tests.servers import quick
from tests.services.voting.conftest import all_counts_hold
from tests.stored import Connection

COMMENTS = """timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
1403067224363,Wed,0,1,2,0,1,"Pay more,
at once"
1403067224364,Wed,1,2,0,1,0,No
1403067224365,Wed,2,3,0,0,-1,Rubbish
1403067224366,Wed,3,3,0,0,0,
soon,Wed,4,3,0,0,0,When?
1403067224367,Wed,5,3,0,0,2,Which?
"""
VOTES = """timestamp,datetime,comment-id,voter-id,vote
1403067224370,Wed,0,1,1
1403067224371,Wed,0,2,-1
1403067224372,Wed,0,2,1
1403067224373,Wed,2,1,0
1403067224374,Wed,9,1,1
1403067224375,Wed,1,1,2
1403067224376,Wed,1
1403067224377,Wed,1,4,-1
"""
# In their order.
REASONS = (
    "comment-body: ",
    "timestamp 'soon': must be milliseconds since 1970",
    "moderated '2': must be -1, 0 or 1",
    "comment-id '9': there is no such comment",
    "vote '2': must be -1, 0 or 1",
    "has 3 columns instead of 5",
)
IMPORTED = ("conversations", "opinions", "votes", "participants")
SUMMARY = 'topic,Wages\nurl,https://pol.is/wages\nconversation-description,"How high?"\n'


@pytest.fixture
async def address(database_url: str) -> AsyncIterator[str]:
    quiet = {"voting_author_votes_seconds": 3600.0}
    async with serving("voting", quick(VotingSettings, database_url, "tally_voting", **quiet), compose) as server:
        yield server.address
    await all_counts_hold(database_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exported"
    made.mkdir()
    for name, text in (("comments.csv", COMMENTS), ("votes.csv", VOTES), ("summary.csv", SUMMARY)):
        (made / name).write_text(text)
    return made


async def imported(folder: Path, address: str, external_id: str | None = None) -> polis_import.ImportReport:
    return await asyncio.to_thread(polis_import.run, folder, address, external_id)


async def exported(conversation_id: str, folder: Path, address: str) -> polis_export.ExportReport:
    return await asyncio.to_thread(polis_export.run, conversation_id, folder, address)


async def everything_imported(db: Connection) -> dict[str, list[tuple[object, ...]]]:
    """All rows of conversations, without what says when they were stored."""
    stored = {}
    for table in IMPORTED:
        when = "'{commit_xid,version,created_time}'" if table == "conversations" else "'{commit_xid}'"
        rows = await db.fetch(f"SELECT to_jsonb(t) - {when}::text[] FROM voting.{table} t ORDER BY 1")
        stored[table] = [tuple(row) for row in rows]
    return stored


async def forget_everything(db: Connection) -> None:
    await db.execute(f"TRUNCATE {', '.join(f'voting.{table}' for table in IMPORTED)}")


async def test_broken_rows_are_told_with_file_line_and_reason_and_the_others_imported(
    folder: Path, address: str, db: Connection
) -> None:
    """G9: the line is that of the file, also after a text of two lines."""
    report = await imported(folder, address)
    assert (report.opinion_count, report.vote_count, report.participant_count) == (3, 4, 3)
    assert (report.broken, report.rejected, report.complete) == (6, 0, False)
    assert [(row.file, row.line) for row in report.left_out] == [
        *(("comments.csv", line) for line in (6, 7, 8)),
        *(("votes.csv", line) for line in (6, 7, 8)),
    ]
    for row, told in zip(report.left_out, REASONS, strict=True):
        assert told in row.reason
    rows = await db.fetch("SELECT body, state FROM voting.opinions ORDER BY created_time")
    assert [tuple(row) for row in rows] == [
        ("Pay more,\nat once", "accepted"),
        ("No", "unmoderated"),
        ("Rubbish", "hidden"),
    ]
    conversation = await db.fetchrow("SELECT title, external_id, description FROM voting.conversations")
    assert conversation is not None and tuple(conversation) == ("Wages", "https://pol.is/wages", "How high?")


async def test_import_export_import_gives_identical_rows(
    folder: Path, address: str, db: Connection, tmp_path: Path
) -> None:
    first = await imported(folder, address)
    before = await everything_imported(db)
    written = await exported(first.conversation_id, tmp_path / "written", address)
    assert (written.opinions, written.votes, written.participants) == (3, 4, 3)
    again = await imported(tmp_path / "written", address)
    assert again.complete and again.unchanged == again.sent == 7
    assert await everything_imported(db) == before
    # What is there stays as it is, so only an import into nothing tells what the files say.
    await forget_everything(db)
    elsewhere = await imported(tmp_path / "written", address)
    assert elsewhere.complete and elsewhere.unchanged == 0
    assert await everything_imported(db) == before
    with pytest.raises(DevstackError):
        await exported(first.conversation_id, tmp_path / "written", address)


async def test_a_folder_without_the_files_or_their_columns_is_refused(folder: Path, address: str) -> None:
    (folder / "votes.csv").write_text("when,who\n")
    with pytest.raises(DevstackError):
        await imported(folder, address)
    (folder / "votes.csv").unlink()
    with pytest.raises(DevstackError):
        await imported(folder, address)


def last_votes(folder: Path) -> dict[tuple[str, str], str]:
    """The last vote of each voter on each comment, by time and then by place in the file."""
    with (folder / "votes.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["timestamp"]))
    return {(row["comment-id"], row["voter-id"]): row["vote"] for row in rows}


@pytest.mark.skipif(not REAL.exists(), reason=f"there is no {REAL}")
@pytest.mark.parametrize("name", ["15-per-hour-seattle", pytest.param("vtaiwan.uberx", marks=pytest.mark.heavy)])
async def test_every_count_of_a_real_conversation_is_what_its_votes_say(
    address: str, db: Connection, tmp_path: Path, name: str
) -> None:
    """G2: through gRPC; the last vote a person and comment counts. And exported, it is imported elsewhere as the same rows."""
    folder = REAL.parent / name
    last = last_votes(folder)
    report = await imported(folder, address)
    assert report.complete and report.vote_count == len(last)
    assert report.participant_count == len({voter for _, voter in last})
    with (folder / "comments.csv").open(newline="") as file:
        comments = list(csv.DictReader(file))
    assert report.opinion_count == len(comments)
    counted = Counter((comment, vote) for (comment, _), vote in last.items())
    rows = await db.fetch("SELECT external_id, agree_count, disagree_count, pass_count, state FROM voting.opinions")
    assert {row["external_id"]: tuple(row)[1:4] for row in rows} == {
        c["comment-id"]: tuple(counted[c["comment-id"], vote] for vote in ("1", "-1", "0")) for c in comments
    }
    hidden = {c["comment-id"] for c in comments if c["moderated"] == "-1"}
    assert {row["external_id"] for row in rows if row["state"] == "hidden"} == hidden
    visible = [key for key in last if key[0] not in hidden]
    counts = await db.fetchrow("SELECT visible_vote_count, visible_participant_count FROM voting.conversations")
    assert counts is not None and tuple(counts) == (len(visible), len({voter for _, voter in visible}))
    assert (await imported(folder, address)).unchanged == report.sent
    before = await everything_imported(db)
    await exported(report.conversation_id, tmp_path / "written", address)
    await forget_everything(db)
    assert (await imported(tmp_path / "written", address)).complete
    assert await everything_imported(db) == before
