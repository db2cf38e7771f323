"""`tally perf-check` asks about what there is, says how long it took, and fails where that is too long (R6, R7)."""

from collections.abc import AsyncIterator

import pytest
import typer
from typer.testing import CliRunner

from libs.cli.main import build
from libs.cli.perf_check import Measured, PerfReport, seconds_of
from libs.cli.perf_queries import KINDS, measure
from libs.devstack.errors import DevstackError
from libs.rpc.server import serving
from services.claims.__main__ import compose as compose_claims
from services.claims.settings import ClaimsSettings
from services.reputation.__main__ import compose as compose_reputation
from services.reputation.settings import ReputationSettings
from tests.servers import quick
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import Groups
from tests.stored import Connection

OFFER = """
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, pickup_time)
VALUES ($1, 'Soup', $2, 'community', gen_random_uuid(), 1, 1, now() + interval '1 hour')
"""
Addresses = tuple[str, str]


@pytest.fixture
async def addresses(database_url: str) -> AsyncIterator[Addresses]:
    """Of a reputation and a claims service."""
    reputation = quick(ReputationSettings, database_url, "tally_reputation")
    claims = quick(ClaimsSettings, database_url, "tally_claims")
    async with (
        serving("reputation", reputation, compose_reputation) as one,
        serving("claims", claims, compose_claims) as another,
    ):
        yield one.address, another.address


async def test_so_many_queries_of_each_kind_are_asked_about_what_there_is(
    addresses: Addresses, groups: Groups, db: Connection
) -> None:
    for group_id in [(await groups.create()).group_id for _ in range(3)] + [None]:
        await db.execute(OFFER, new_uuid(), group_id)
    told: list[int] = []
    measured = await measure(*addresses, queries=20, callers=4, advance=told.append)
    assert [each.kind for each in measured] == list(KINDS)
    assert sum(told) == 20 * len(KINDS)
    for each in measured:
        assert (each.queries, each.failures) == (20, {})
        assert 0 < each.p50_ms <= each.p99_ms <= each.max_ms and each.average_ms <= each.max_ms


async def test_where_there_is_nothing_to_look_up_that_is_what_is_said(
    addresses: Addresses, groups: Groups, db: Connection
) -> None:
    async def said() -> str:
        with pytest.raises(DevstackError) as caught:
            await measure(*addresses, queries=1, callers=1, advance=lambda _: None)
        return str(caught.value)

    assert await said() == "there is no user to look up"
    admin = await groups.user()
    assert await said() == "there is no group to look up"
    await groups.create(admin)
    assert await said() == "there is no food post that can be claimed to look up"


async def test_a_service_that_does_not_answer_is_named(addresses: Addresses, groups: Groups, db: Connection) -> None:
    await db.execute(OFFER, new_uuid(), (await groups.create()).group_id)
    await db.execute("ALTER MATERIALIZED VIEW reputation.group_activity_summary RENAME TO elsewhere")
    measured = {each.kind: each for each in await measure(*addresses, queries=3, callers=2, advance=lambda _: None)}
    assert measured["group activity"].failures == {"INTERNAL INTERNAL": 3}
    assert not measured["group discovery"].failures
    assert not PerfReport(max_time_ms=1e6, measured=list(measured.values())).passed


def a_measure(average: float, **failures: int) -> Measured:
    return Measured(
        kind="any", queries=1, average_ms=average, p50_ms=1, p99_ms=1, max_ms=average, failures=dict(failures)
    )


def test_an_average_above_the_limit_or_a_failure_fails_the_check() -> None:
    def passed(*measured: Measured) -> bool:
        return PerfReport(max_time_ms=200, measured=list(measured)).passed

    assert passed(a_measure(1), a_measure(200))
    assert not passed(a_measure(1), a_measure(200.1))
    assert not passed(a_measure(1), a_measure(1, UNAVAILABLE=1))


def test_a_duration_is_a_number_with_its_unit() -> None:
    for text, seconds in (("200ms", 0.2), ("0.2s", 0.2), ("1s", 1.0), (".5s", 0.5), ("1.5ms", 0.0015)):
        assert seconds_of(text) == pytest.approx(seconds)
    for text in ("", "200", "ms", "0ms", "-1s", "1m", "1 s", "1e3ms", "nan s"):
        with pytest.raises(typer.BadParameter):
            seconds_of(text)
    for arguments in (["--max-time", "soon"], ["--queries", "0"], ["--callers", "257"]):
        assert CliRunner().invoke(build(), ["perf-check", *arguments]).exit_code == 2
