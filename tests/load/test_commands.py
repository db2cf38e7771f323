"""`tally demo`, `load` and `verify` on a stack of their own, and that each notices what is wrong."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import grpc.aio
import psycopg
import pytest

from libs.cli.scenario.checks import Checks
from libs.cli.scenario.forum import Forum
from libs.cli.scenario.forum_checks import ForumChecks
from libs.cli.scenario.ledger import Ledger, Petition
from libs.cli.scenario.play import Play
from libs.cli.scenario.sources import source
from libs.devstack import stack as local_stack
from libs.devstack.postgres import remove_home
from libs.devstack.settings import SOURCE_ROOT, StackSettings
from libs.devstack.status import stack_status
from tests.stack_ports import free_port_base

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]


class Tally:
    """The command, and the stack it starts."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "libs.cli.main", *arguments]
        environment = {**os.environ, **self.settings.environment()}
        return subprocess.run(
            command, cwd=SOURCE_ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False
        )

    def answer(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def sql(self, statement: str) -> None:
        url = stack_status(self.settings).database_url
        assert url is not None
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    folder = Path(tempfile.mkdtemp(prefix="tally-commands-"))
    folder.chmod(0o711)
    settings = StackSettings(state_dir=folder, port_base=free_port_base(), database_url="", drain_seconds=5)
    try:
        yield Tally(settings)
    finally:
        local_stack.down(settings)
        remove_home(folder)
        shutil.rmtree(folder)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """As Polis exports it: somebody changed a vote, one opinion was rejected, and one vote is broken."""
    opinions = [f"{1_500_000_000_000 + n},,{n},{n % 7},0,0,{-1 if n == 4 else 1},Number {n}" for n in range(12)]
    votes = [f"{1_500_000_100_000 + n},,{n % 12},{n // 12},{n % 3 - 1}" for n in range(30 * 12)]
    votes += ["1500000200000,,0,0,0", "1500000200001,,0,1,2"]
    columns = "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body"
    (tmp_path / "comments.csv").write_text("\n".join([columns, *opinions, ""]))
    (tmp_path / "votes.csv").write_text("\n".join(["timestamp,datetime,comment-id,voter-id,vote", *votes, ""]))
    (tmp_path / "summary.csv").write_text('topic,"Benches, or none"\nurl,https://polis.example/benches\n')
    return tmp_path


def test_the_demo_starts_the_stack_and_every_account_agrees(tally: Tally, exported: Path) -> None:
    report = tally.answer("demo", "--signers", "400", "--polis", str(exported))
    assert report["agreed"] is True
    acts = {act["name"].split(",")[0]: act for act in report["acts"]}
    assert acts["sign"]["duplicates"] > 0
    assert acts["sign"]["replayed"] > 0
    assert acts["race past 250"]["accepted"] == 1_000
    assert acts["withdraw"]["withdrawn"] == 300
    assert (acts["flash sale: 500 for 50"]["accepted"], acts["flash sale: 500 for 50"]["refused"]) == (50, 450)
    assert (acts["60 more"]["accepted"], acts["12 for 8 portions"]["refused"]) == (40, 4)
    answered = {goods["what"]: goods["answered"] for goods in report["goods"]}
    assert (answered["coupons claimed"], answered["coupons left"]) == (90, 20)
    assert [answered[f"portions {what}"] for what in ("remaining", "held", "claimed")] == [0, 2, 6]
    followed = {each["what"]: each["answered"] for each in report["reputations"]}
    assert (acts["join a group"]["accepted"], followed["members of the group"], followed["food shared"]) == (12, 13, 6)
    assert report["conversation"] == "Benches, or none"
    assert (acts["import a conversation"]["sent"], acts["200 people vote"]["accepted"]) == (373, 200 * 8)
    assert (acts["write opinions"]["accepted"], acts["vote on what is new"]["accepted"]) == (40, 320)
    assert (acts["change their votes"]["accepted"], acts["take votes back"]["withdrawn"]) == (300, 100)
    told = {votes["what"]: votes["rows"] for votes in report["votes"]}
    assert (told["opinions"], told["visible opinions"]) == (12 + 40, 12 + 40 - 1 - 3)
    assert (told["votes"], told["participants"]) == (360 + 1_600 + 40 + 320 - 100, 230)
    assert (
        told["visible votes"]
        < told["votes"]
        == sum(told[f"opinion {what}"] for what in ("agrees", "disagrees", "passes"))
    )
    groups, opinion_map = report["groups"], tally.settings.state_dir / "opinion-map.svg"
    assert (groups["people"], groups["votes"], groups["disagreements"]) == (30, 360, [])
    assert sum(group["size"] for group in groups["groups"]) == groups["in_groups"] == 30, groups
    assert Path(report["opinion_map"]) == opinion_map
    assert ElementTree.parse(opinion_map).getroot().findtext("{http://www.w3.org/2000/svg}title") == "Benches, or none"
    race = next(petition for petition in report["petitions"] if petition["reversed_recorded"])
    assert (race["answered"], race["crossed_recorded"], race["reversed_recorded"]) == (760, 4, 1)


def test_the_demo_prints_its_tables_without_a_terminal_and_leaves_something_to_look_up(tally: Tally) -> None:
    elsewhere = tally.settings.state_dir / "elsewhere.svg"
    done = tally.run("demo", "--signers", "100", "--map", str(elsewhere))
    assert done.returncode == 0, done.stderr
    assert f"the opinion map: {elsewhere}" in done.stdout
    assert elsewhere.exists()
    assert "in 2 opinion groups" in done.stdout
    assert "what unites them" in done.stdout
    assert "every count equals its rows" in done.stdout
    assert "race past 250, 500, 750" in done.stdout
    assert "visible participants" in done.stdout
    measured = tally.answer("perf-check", "--queries", "50", "--max-time", "200ms")["measured"]
    assert [(each["queries"], each["failures"]) for each in measured] == [(50, {})] * 5


def test_a_load_of_buyers_sells_what_there_is_and_no_more(tally: Tally) -> None:
    report = tally.answer("load", "--claims", "--count", "2000", "--callers", "200")
    assert report["complete"] is True
    assert (report["sent"], report["claimed"], report["out_of_stock"]) == (2_000, 1_000, 1_000)
    assert (report["counter"], report["counted"], report["remaining"]) == (1_000, 1_000, 0)
    assert (report["failures"], report["deadlocks"]) == ({}, 0)


def test_a_load_of_voters_leaves_every_count_equal_to_its_rows(tally: Tally) -> None:
    report = tally.answer("load", "--voting", "--users", "20", "--opinions", "300", "--votes", "3000", "--no-think")
    assert report["complete"] is True
    calls = {taken["kind"]: taken["calls"] for taken in report["latencies"]}
    assert min(calls["vote"], calls["opinion"]) >= 20 * 5
    assert calls["listing"] == calls["vote"]
    opinions, votes, participants = report["counted"]
    assert (opinions, votes) == (300 + calls["opinion"], 3_000 + calls["opinion"] + calls["vote"])
    assert participants == -(-3_000 // 22) + 20
    assert (report["failures"], report["deadlocks"], report["differing"]) == ({}, 0, 0)


@pytest.mark.parametrize("batch", ["1", "100"])
def test_a_load_leaves_every_signature_once(tally: Tally, batch: str) -> None:
    report = tally.answer("load", "--count", "2000", "--callers", "32", "--batch", batch)
    assert report["complete"] is True
    assert report["sent"] == report["acknowledged"] == report["counter"] == report["counted"] == 2_000
    assert report["thresholds_crossed"] == [100, 1_000]
    assert report["failures"] == {}
    assert report["deadlocks"] == 0


SOMETHING_TO_LOOK_UP = """
WITH somebody AS (INSERT INTO reputation.users (id) VALUES (gen_random_uuid()) RETURNING id),
     theirs AS (INSERT INTO reputation.user_global_reputation (user_id) SELECT id FROM somebody),
     somewhere AS (INSERT INTO reputation.community_groups (name, group_type) VALUES ('Elm Street', 'community') RETURNING id)
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, pickup_time)
SELECT gen_random_uuid(), 'Soup', somewhere.id, 'community', somebody.id, 1, 1, now() + interval '1 hour'
FROM somebody, somewhere
"""


def test_the_schema_and_the_speed_of_the_stack_are_checked(tally: Tally) -> None:
    """R7."""
    tally.answer("up")
    tally.sql(SOMETHING_TO_LOOK_UP)
    assert tally.answer("verify-schema")["matches"] is True
    report = tally.answer("perf-check", "--queries", "100", "--max-time", "1s")
    assert report["passed"] is True
    assert [(each["queries"], each["failures"]) for each in report["measured"]] == [(100, {})] * 5
    slow = tally.run("perf-check", "--queries", "10", "--max-time", "0.001ms")
    assert slow.returncode == 1 and "reputation lookup" in slow.stdout


async def test_a_vote_and_a_count_that_somebody_changed_are_noticed(tally: Tally, exported: Path) -> None:
    tally.answer("up")
    services = stack_status(tally.settings).services
    async with (
        grpc.aio.insecure_channel(services["voting"].address) as voting_channel,
        grpc.aio.insecure_channel(services["aggregator"].address) as aggregator_channel,
    ):
        ledger = Ledger()
        await Forum(voting_channel, ledger, seed=7).take_over(source(exported, seed=7), lambda _: None)
        there, checks = ledger.conversation, ForumChecks(voting_channel, aggregator_channel)
        assert there is not None
        assert not any(compared.disagreements for compared in await checks.compare(there))
        changes = (
            f"UPDATE voting.votes SET vote = -vote WHERE conversation_id = '{there.conversation_id}'",
            f"UPDATE voting.opinions SET agree_count = 31 - agree_count WHERE conversation_id = '{there.conversation_id}'",
        )
        for change in changes:
            tally.sql(change)
        differing = {compared.what: compared.disagreements for compared in await checks.compare(there)}
        assert differing["votes"] == ["not the same people voted, or not the same"]
        assert "the counter differs for 12 opinions" in differing["opinion agrees"]
        for change in changes:
            tally.sql(change)
        assert not any(compared.disagreements for compared in await checks.compare(there))


async def test_a_count_that_somebody_changed_is_noticed(tally: Tally) -> None:
    tally.answer("up")
    services = stack_status(tally.settings).services
    async with (
        grpc.aio.insecure_channel(services["petition"].address) as petition_channel,
        grpc.aio.insecure_channel(services["aggregator"].address) as aggregator_channel,
    ):
        played = Play(petition_channel, callers=8, seed=7)
        await played.create(lambda _: None)
        await played.crowd(60, lambda _: None)
        checks = Checks(petition_channel, aggregator_channel)
        crowded: Petition = played.ledger.petitions[0]
        assert (await checks.compare(crowded)).disagreements == []
        wrong = (
            "UPDATE petition.petition_submissions SET co_signer_count = co_signer_count + 1 WHERE petition_id = '{}'"
        )
        tally.sql(wrong.format(crowded.petition_id))
        assert any("the counter says" in text for text in (await checks.compare(crowded)).disagreements)
    done = tally.run("verify", "--json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["counters"][0]["discrepancies"]
    assert found["resource_id"] == crowded.petition_id
    assert found["counter"] == found["counted"] + 1
    assert tally.run("verify", "--repair").returncode == 1
    assert tally.run("verify").returncode == 0
