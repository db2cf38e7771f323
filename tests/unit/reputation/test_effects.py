"""What raises and lowers a score: the table, its page, and caps that do not care in which order things happen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reputation.ledger.effects import BY_STARS, EFFECTS, counted, impact_of, is_capped
from services.reputation.ledger.levels import ALLOWANCES, THRESHOLDS
from services.reputation.ledger.model import MOST_IMPACT
from tests.contract.sources import ROOT

PAGE = (ROOT / "docs" / "reputation.md").read_text()
TYPES = st.sampled_from([*EFFECTS, "garden_watered"])
IMPACTS = st.integers(-MOST_IMPACT, MOST_IMPACT)


def points(hundredths: int) -> str:
    return f"{hundredths / 100:+.2f}" if hundredths else "0.00"


def by_stars() -> str:
    return ", ".join(f"{stars}★ {points(impact)}" for stars, impact in BY_STARS.items())


def test_the_page_shows_the_table() -> None:
    """Every type with its impact, its cap and what it comes from, and nothing else."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    shown = {name: (impact, cap, source) for name, impact, cap, source in rows if name in EFFECTS or ".." in cap}
    table = {}
    for name, effect in EFFECTS.items():
        impact = by_stars() if effect.impact is BY_STARS else "as told" if effect.impact is None else impact_of(name)
        said = impact if isinstance(impact, str) else points(impact)
        cap = f"{points(effect.low)} .. {points(effect.high)}"
        table[name] = (said, cap, effect.source or "whoever records it")
    assert shown == table


def test_the_page_shows_thresholds_and_allowances() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| (\d+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    yes = {True: "yes", False: "no"}
    assert rows == [
        (
            level.word,
            f"{THRESHOLDS[level] / 100:.2f}",
            str(allowed.max_active_claims),
            yes[allowed.may_share_food],
            yes[allowed.may_create_groups],
            yes[allowed.may_moderate],
        )
        for level, allowed in ALLOWANCES.items()
    ]


@given(TYPES, st.lists(IMPACTS, max_size=8), st.randoms(use_true_random=False))
def test_what_a_day_counts_for_does_not_depend_on_the_order_of_its_events(
    event_type: str, impacts: list[int], random: object
) -> None:
    """G10: nor on what was taken back in between."""

    def day(order: list[int]) -> int:
        total = score = 0
        for impact in order:
            score += counted(event_type, total, impact)
            total += impact
        return score

    shuffled = list(impacts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    extra = 1_23
    assert day(impacts) == day(shuffled) == day([extra, *shuffled, -extra])
    if is_capped(event_type):
        assert EFFECTS[event_type].low <= day(impacts) <= EFFECTS[event_type].high
        assert day(impacts) == max(EFFECTS[event_type].low, min(EFFECTS[event_type].high, sum(impacts)))
    else:
        assert day(impacts) == sum(impacts)


@given(TYPES, st.integers(-(10**9), 10**9), IMPACTS)
def test_what_counts_is_never_more_than_the_impact(event_type: str, total: int, impact: int) -> None:
    """It fits its column, whatever the day adds up to."""
    assert abs(counted(event_type, total, impact)) <= abs(impact)
    assert counted(event_type, total, impact) * impact >= 0


@pytest.mark.parametrize(
    ("event_type", "total", "impact", "expected"),
    [
        ("food_shared", 0, 1_00, 1_00),
        ("food_shared", 9_50, 1_00, 50),
        ("food_shared", 10_00, 1_00, 0),
        ("food_shared", 11_00, -1_00, 0),
        ("food_shared", 10_50, -1_00, -50),
        ("food_shared", 0, -1_00, 0),
        ("claim_expired", -9_00, -2_00, -1_00),
        ("claim_expired", 0, 5_00, 0),
        ("food_rated", 9_00, -2_00, -2_00),
        ("incident_reported", 0, -999_99, -20_00),
        ("garden_watered", 999_99, 999_99, 999_99),
    ],
)
def test_a_cap_cuts_off_what_leads_beyond_it(event_type: str, total: int, impact: int, expected: int) -> None:
    assert counted(event_type, total, impact) == expected


def test_ratings_go_by_stars() -> None:
    assert [impact_of(rated, stars) for rated in ("food_rated", "recipient_rated") for stars in range(1, 6)] == [
        *(-2_00, -1_00, 0, 50, 1_00),
        *(-2_00, -1_00, 0, 50, 1_00),
    ]
