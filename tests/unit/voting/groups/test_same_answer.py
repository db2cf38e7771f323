"""G11: the same votes give the same analysis, to the last bit."""

import hashlib
import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from services.voting.groups import analysis
from services.voting.groups.analysis import analyse
from services.voting.groups.arrays import Floats
from services.voting.groups.matrix import CentredVotes
from services.voting.groups.projection import OpinionMap, project
from services.voting.groups.state import State
from tests.load.groups.generated import generated
from tests.unit.voting.groups.conversations import chance, fingerprint, shuffled

SIZE = (30_000, 2_000, 2_500)
IN_A_PROCESS = f"""
import hashlib
from services.voting.groups.analysis import analyse
from tests.load.groups.generated import generated
from tests.unit.voting.groups.conversations import fingerprint
print(hashlib.sha256(fingerprint(analyse(generated{SIZE}))).hexdigest())
"""


def test_the_order_of_votes_changes_nothing() -> None:
    """G11"""
    votes = generated(*SIZE)
    first = analyse(votes)
    assert len(first.groups) > 1
    assert fingerprint(analyse(shuffled(votes, 1))) == fingerprint(first)
    later = analyse(votes, first.state)
    assert fingerprint(analyse(shuffled(votes, 2), first.state)) == fingerprint(later)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_process_that_starts_anew_answers_the_same_with_any_number_of_threads(threads: str) -> None:
    """G11"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    told = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == hashlib.sha256(fingerprint(analyse(generated(*SIZE)))).hexdigest()


def test_an_analysis_computes_on_one_thread_whatever_its_process_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """G11: what several add up in parts is rounded otherwise."""
    seen: list[int] = []

    def watched(votes: CentredVotes, before: Floats) -> OpinionMap:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return project(votes, before)

    monkeypatch.setattr(analysis, "project", watched)
    votes = generated(*SIZE)
    with threadpool_limits(limits=2):
        two = fingerprint(analyse(votes))
    assert set(seen) == {1}
    assert fingerprint(analyse(votes)) == two


def test_a_run_that_follows_a_restart_goes_on_from_what_was_stored() -> None:
    """G11: the state is the same after it was written and read."""
    votes = chance(40, 12, 0.7, seed=3)
    first = analyse(votes)
    stored = State.from_bytes(first.state.to_bytes())
    assert stored is not None
    assert stored.to_bytes() == first.state.to_bytes()
    assert fingerprint(analyse(votes, stored)) == fingerprint(analyse(votes, first.state))


def test_the_same_votes_again_move_nothing_and_nobody() -> None:
    """G11"""
    votes = chance(150, 30, 0.5, seed=4)
    first = analyse(votes)
    again = analyse(votes, first.state)
    assert (again.participant_groups == first.participant_groups).all()
    assert abs(again.participant_positions - first.participant_positions).max() < 1e-9
    assert [group.representative for group in again.groups] == [group.representative for group in first.groups]


def test_a_state_of_another_format_is_as_good_as_none() -> None:
    state = analyse(chance(10, 5, 1.0, seed=1)).state.to_bytes()
    assert State.from_bytes(state) is not None
    assert State.from_bytes(state.replace(b"\x01" + bytes(7), b"\x09" + bytes(7), 1)) is None
