"""A run that failed can be played again: its seed is in the report, and draws the same requests."""

import pytest

from tests.concurrency.claims.attempts import ClaimsAttempt
from tests.concurrency.claims.mix import COUPONS, EVERYTHING, FOOD, Action, Mix, Operation
from tests.seeds import chosen_seed

NAMES, POSTS = ["Bread", "Butter"], ["00000000-4000-8000-0000-000000000001"]


def drawn(seed: str, names: list[str], posts: list[str], weights: dict[Action, float]) -> list[Operation]:
    """By one claimant who gets all the food it asks for."""
    mix, operations = Mix(f"{seed}/7", names, posts, 200, weights, 10), []
    for number in range(300):
        operations.append(mix.next())
        (request, *_) = operations[-1].requests
        if operations[-1].action == "food":
            exchange_id, user_id = f"exchange {number}", request.user_id  # type: ignore[union-attr]
            ids = (POSTS[0], user_id, request.request_id, 1, "")
            mix.learn(ClaimsAttempt("claim_food", *ids, 0.0, 0.0, "OK", "", (exchange_id, "pending", 1)))
    return operations


@pytest.mark.parametrize(
    ("names", "posts", "weights"),
    [(NAMES, [], COUPONS), ([], POSTS, FOOD), (NAMES, POSTS, EVERYTHING)],
    ids=["coupons", "food", "everything"],
)
def test_a_seed_draws_the_same_requests_again(names: list[str], posts: list[str], weights: dict[Action, float]) -> None:
    """In the same order, with the same users and request ids; another seed draws others."""
    first = drawn("1", names, posts, weights)
    assert {operation.action for operation in first} == set(weights)
    assert drawn("1", names, posts, weights) == first
    assert drawn("2", names, posts, weights) != first


def test_the_seed_of_a_run_is_told_and_that_of_an_earlier_one_can_be_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TALLY_SEED", raising=False)
    chosen = chosen_seed()
    assert capsys.readouterr().out == f"TALLY_SEED={chosen}\n"
    monkeypatch.setenv("TALLY_SEED", "17")
    assert chosen_seed() == "17"
    assert capsys.readouterr().out == "TALLY_SEED=17\n"
