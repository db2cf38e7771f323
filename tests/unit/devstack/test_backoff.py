"""The pause before a program that died is started again."""

from libs.devstack.backoff import Backoff


def test_each_failure_doubles_the_pause_up_to_the_most() -> None:
    backoff = Backoff(first=0.5, most=3.0, steady=10.0)
    assert [backoff.after(ran_for=0.1) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_program_that_ran_steadily_begins_anew() -> None:
    backoff = Backoff(first=0.5, most=3.0, steady=10.0)
    for _ in range(4):
        backoff.after(ran_for=0.1)
    assert backoff.after(ran_for=10.0) == 0.5
    assert backoff.after(ran_for=0.1) == 1.0


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff()
    assert {backoff.after(ran_for=0) for _ in range(5000)} <= {0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0}
