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

import grpc.aio
import psycopg
import pytest

from libs.cli.scenario.checks import Checks
from libs.cli.scenario.ledger import Petition
from libs.cli.scenario.play import Play
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


def test_the_demo_starts_the_stack_and_every_account_agrees(tally: Tally) -> None:
    report = tally.answer("demo", "--signers", "400")
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
    race = next(petition for petition in report["petitions"] if petition["reversed_recorded"])
    assert (race["answered"], race["crossed_recorded"], race["reversed_recorded"]) == (760, 4, 1)


def test_the_demo_prints_its_tables_without_a_terminal(tally: Tally) -> None:
    done = tally.run("demo", "--signers", "100")
    assert done.returncode == 0, done.stderr
    assert "every count equals its rows" in done.stdout
    assert "race past 250, 500, 750" in done.stdout


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
