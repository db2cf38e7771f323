"""One answer a request id (G5), and the tokens that pages and commits are named by."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from libs.data.commit_tokens import decode_token, encode_token
from libs.data.database import Database
from libs.data.errors import InvalidInput, NotFound
from libs.data.ids import new_id, parse_id
from libs.data.pages import decode_page_token, encode_page_token
from libs.data.requests import Replay, Requests
from libs.data.transaction import Transaction
from tests.stored import Connection


@dataclass(frozen=True)
class Answer:
    """Of the kinds that answers are made of."""

    id: UUID
    number: int
    text: str
    parts: tuple[int, ...]
    time: datetime | None


REQUESTS = Requests("petition", "Something", Answer)
ANSWER = Answer(UUID(int=1), 2**40, "naïve 🌳", (1, 2), datetime.fromisoformat("2026-01-01T12:00:00.123456+00:00"))


async def ask(tx: Transaction, request_id: UUID, content: object = "the same") -> Answer | Replay[Answer]:
    replay = await REQUESTS.claim(tx, request_id, content)
    if replay is not None:
        return replay
    await REQUESTS.record(tx, request_id, ANSWER)
    return ANSWER


async def test_the_first_answer_is_answered_again_with_the_token_of_its_commit(database: Database) -> None:
    """G5."""
    request_id = uuid4()
    first = await database.write(lambda tx: ask(tx, request_id))
    again = await database.write(lambda tx: ask(tx, request_id))
    assert first.value == ANSWER and first.token
    assert again.value == Replay(ANSWER, first.token)


async def test_of_the_same_request_many_times_at_once_one_is_done(database: Database, db: Connection) -> None:
    """G5."""
    request_id = uuid4()
    outcomes = await asyncio.gather(*(database.write(lambda tx: ask(tx, request_id)) for _ in range(20)))
    assert sum(isinstance(outcome.value, Answer) for outcome in outcomes) == 1
    assert await db.fetchval("SELECT count(*) FROM petition.requests") == 1


async def test_a_request_that_failed_left_its_id_free(database: Database) -> None:
    request_id = uuid4()

    async def fails(tx: Transaction) -> None:
        await REQUESTS.claim(tx, request_id, "the same")
        raise NotFound("what it names")

    with pytest.raises(NotFound):
        await database.write(fails)
    assert (await database.write(lambda tx: ask(tx, request_id))).value == ANSWER


@pytest.mark.parametrize("content", ["another", 1, None, ("the same",)])
async def test_an_id_used_for_something_else_is_refused(database: Database, content: object) -> None:
    request_id = uuid4()
    await database.write(lambda tx: ask(tx, request_id))
    with pytest.raises(InvalidInput) as caught:
        await database.write(lambda tx: ask(tx, request_id, content))
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert [violation.field for violation in caught.value.violations] == ["request_id"]


def test_a_page_token_gives_its_key_back() -> None:
    key = [str(UUID(int=7)), 3]
    token = encode_page_token("listing", *key)
    assert decode_page_token(token, "listing", UUID, int) == [UUID(int=7), 3]
    assert decode_page_token("", "listing", UUID, int) is None


def test_a_page_token_of_uneven_length_is_a_token() -> None:
    for length in range(1, 20):
        assert decode_page_token(encode_page_token("l", "x" * length), "l", str) == ["x" * length]


@pytest.mark.parametrize("token", ["a", "=", "é", "W10", "W1sx", "e30", encode_page_token("other", 1)])
def test_what_is_no_token_of_the_listing_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_page_token(token, "listing", int)
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("xid", [1, 10, 2**32, 2**63])
def test_a_commit_token_gives_its_xid_back(xid: int) -> None:
    assert decode_token(encode_token(xid)) == xid


@pytest.mark.parametrize("token", ["", "xyz", "1 2"])
def test_what_is_no_commit_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_token(token)
    assert caught.value.reason == "UNKNOWN_COMMIT_TOKEN"


def test_new_ids_are_different_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert {made.version for made in ids} == {7}


def test_a_parsed_id_equals_the_standard_librarys() -> None:
    one = uuid4()
    for text in (str(one), str(one).upper(), one.hex):
        assert parse_id(text) == one
        assert hash(parse_id(text)) == hash(one)
        assert str(parse_id(text)) == str(one)
