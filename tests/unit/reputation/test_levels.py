"""Levels rise at once and fall when the time of grace is over."""

from datetime import timedelta

import pytest

from services.reputation.ledger.levels import GRACE, Standing, TrustLevel, level_of
from tests.unit.reputation.archive import ANNA, DAY, NOON, Archive, a_row, record

RESTRICTED, LIMITED, DEVELOPING, TRUSTED, EXEMPLARY = TrustLevel


@pytest.mark.parametrize(
    ("score", "level"),
    [
        *((0, RESTRICTED), (39_99, RESTRICTED), (40_00, LIMITED), (59_99, LIMITED), (60_00, DEVELOPING)),
        *((75_00, DEVELOPING), (79_99, DEVELOPING), (80_00, TRUSTED), (89_99, TRUSTED)),
        *((90_00, EXEMPLARY), (99_99, EXEMPLARY)),
    ],
)
def test_a_level_begins_at_its_threshold(score: int, level: TrustLevel) -> None:
    assert level_of(score) is level


@pytest.mark.parametrize(("score", "level"), [(80_00, TRUSTED), (99_99, EXEMPLARY), (79_99, DEVELOPING)])
def test_a_level_rises_at_once_over_several_if_need_be(score: int, level: TrustLevel) -> None:
    assert Standing(DEVELOPING).after(NOON, score) == Standing(level)


def test_a_level_is_kept_for_a_week_once_the_score_is_too_low() -> None:
    falling = Standing(EXEMPLARY).after(NOON, 89_99)
    assert falling == Standing(EXEMPLARY, NOON + GRACE)
    assert GRACE == 7 * DAY
    assert falling.after(NOON + DAY, 65_00) == falling, "a deeper fall does not begin the week anew"
    assert falling.at(NOON + GRACE - timedelta(microseconds=1), 65_00) == falling
    assert falling.at(NOON + GRACE, 65_00) == Standing(DEVELOPING), "the level that the score is then high enough for"


def test_a_score_that_rises_again_in_time_keeps_the_level() -> None:
    falling = Standing(TRUSTED).after(NOON, 79_99)
    assert falling.after(NOON + DAY, 80_00) == Standing(TRUSTED)


@pytest.mark.parametrize("level", TrustLevel)
def test_below_40_there_is_no_grace(level: TrustLevel) -> None:
    assert Standing(level).after(NOON, 39_99) == Standing(RESTRICTED)
    assert Standing(level, NOON + DAY).after(NOON, 0) == Standing(RESTRICTED)


def test_an_event_after_the_time_of_grace_meets_the_level_that_had_fallen_by_then() -> None:
    """Whether or not the job that writes it down has come by: what was served is what is built on."""
    archive = Archive({ANNA: a_row("85.00", "trusted")})
    archive.rows[ANNA]["demotion_time"] = (NOON - DAY).replace(tzinfo=None)
    archive.rows[ANNA]["overall_score"] -= 20  # 65.00
    archive.rows[ANNA]["overall_score"] += 10  # 75.00, the first score of the empty ledger
    archive.run(record(-20_00))
    standing = archive.accounts[ANNA].standing
    assert (standing.level, archive.score()) == (DEVELOPING, 55_00)
    assert standing.demotion_time == archive.ledger()[0].created_time + GRACE


def test_levels_are_those_of_each_event_however_they_share_transactions() -> None:
    up_and_down = [record(20_00), record(-12_00)]
    together, apart = Archive(), Archive()
    together.run(*up_and_down)
    for command in up_and_down:
        apart.run(command)
    for archive in (together, apart):
        standing = archive.accounts[ANNA].standing
        assert (archive.score(), standing.level) == (83_00, EXEMPLARY)
        assert standing.demotion_time is not None
