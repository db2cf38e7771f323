"""What a declaration of a counter may say."""

from uuid import uuid4

import pytest

from libs.data.catalog import COUNTERS
from libs.data.catalog.petition import CO_SIGNERS
from libs.data.catalog.voting import CONVERSATIONS, OPINION_AGREES
from libs.data.counters import CountedRows, Counter


def test_rows_are_counted_added_up_or_told_apart() -> None:
    assert CountedRows("a.b", ("id",)).number == "count(*) AS n FROM a.b"
    assert CountedRows("a.b", ("id",), quantity="q").number.startswith("coalesce(sum(q), 0)")
    assert CountedRows("a.b", ("id",), distinct="user_id").number == "count(DISTINCT user_id) AS n FROM a.b"
    with pytest.raises(AssertionError):
        CountedRows("a.b", ("id",), quantity="q", distinct="user_id")


def test_a_key_has_the_types_that_were_declared() -> None:
    assert CO_SIGNERS.key_types == ("uuid",)
    assert OPINION_AGREES.key_types == ("uuid", "uuid")
    assert OPINION_AGREES.resource == "conversation_id/opinion_id"
    key = (uuid4(), uuid4())
    assert OPINION_AGREES.resource_id(key) == f"{key[0]}/{key[1]}"
    assert Counter("a.b", "", CONVERSATIONS, "n", table="a.t", breakdown=("region",)).key_types == ("uuid", "text")


def test_every_counter_of_a_table_of_its_own_says_alike_how_its_rows_come_about() -> None:
    said: dict[str, set[tuple[bool, tuple[str, ...], tuple[str, ...]]]] = {}
    for counter in COUNTERS.values():
        if counter.table:
            said.setdefault(counter.table, set()).add((counter.rows_appear, counter.key_columns, counter.key_types))
    assert said and all(len(alike) == 1 for alike in said.values()), said
