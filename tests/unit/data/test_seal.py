"""The text of the statement that ends a transaction."""

from libs.data.events import Event
from libs.data.seal import Seal, renumbered

UPDATE = "UPDATE t SET n = n + $2 WHERE id = $1"
INSERT = "INSERT INTO u SELECT $1, unnest($2::int[])"


def sealed(rows: int) -> Seal:
    seal = Seal()
    seal.change(UPDATE, ["a", rows], rows)
    seal.change(INSERT, ["b", [1] * rows], rows)
    seal.append([Event("petition.said", "a", 1, {"word": rows})] * rows)
    return seal


def test_parameters_are_numbered_on_in_the_order_they_were_added() -> None:
    seal = sealed(2)
    assert "changed_0 AS (UPDATE t SET n = n + $2 WHERE id = $1 RETURNING 1)" in seal.sql
    assert "changed_1 AS (INSERT INTO u SELECT $3, unnest($4::int[]) RETURNING 1)" in seal.sql
    assert "unnest($5::integer[], $6::text[], $7::text[], $8::bigint[], $9::jsonb[])" in seal.sql
    assert seal.parameters[:4] == ["a", 2, "b", [1, 1]]
    assert seal.parameters[4:6] == [[0, 1], ["petition.said"] * 2]
    assert seal.expected == 4


def test_a_number_of_two_digits_is_one_number() -> None:
    assert renumbered("$1, $10, $12", 3) == "$4, $13, $15"


def test_transactions_of_one_kind_share_one_text_whatever_they_hold() -> None:
    """The very same string: drivers and servers look prepared statements up by it."""
    assert sealed(1).sql is sealed(500).sql
    other = sealed(1)
    other.change(UPDATE, ["c", 1], 1)
    assert other.sql != sealed(1).sql


def test_a_transaction_that_changes_nothing_still_reads_the_halt_flag() -> None:
    seal = Seal()
    seal.append([])
    assert (seal.parameters, seal.expected) == ([], 0)
    assert "WITH" not in seal.sql and "0 AS changed FROM operations.halt" in seal.sql
