"""ListPetitions and ListCoSigners: keyset pages."""

import asyncio
import random
from collections.abc import Awaitable

import pytest
from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data.pages import encode_page_token
from tests.servers import refused
from tests.services.petition.people import Petitions
from tests.stored import Connection

NEWEST, MOST_SIGNED = messages.PETITION_ORDER_NEWEST, messages.PETITION_ORDER_MOST_SIGNED


async def pages(
    petitions: Petitions, order: messages.PetitionOrder.ValueType, size: int
) -> list[list[resources.Petition]]:
    found, token = [], ""
    while True:
        page = await petitions.stub.ListPetitions(
            messages.ListPetitionsRequest(order=order, page_size=size, page_token=token)
        )
        found.append(list(page.petitions))
        assert len(found) < 1000, "pages without end"
        token = page.next_page_token
        if not token:
            return found


async def stored_petitions(db: Connection, counts: list[int]) -> None:
    """Petitions with these counts, put there by SQL: signing them one by one would take long."""
    await db.execute(
        """
        INSERT INTO petition.petition_submissions
            (petition_id, title, body, petition_type, submitter_id, escalation_thresholds, co_signer_count, signature_rank)
        SELECT gen_random_uuid(), 'Title', 'Body', 'local', gen_random_uuid(), '{}', n, operations.rank_of(n)
        FROM unnest($1::integer[]) AS n
        """,
        counts,
    )


async def test_the_newest_petition_comes_first_and_no_order_means_newest(petitions: Petitions) -> None:
    created = [(await petitions.create()).petition_id for _ in range(5)]
    for order in (NEWEST, messages.PETITION_ORDER_UNSPECIFIED):
        (page,) = await pages(petitions, order, 0)
        assert [p.petition_id for p in page] == created[::-1]


async def test_pages_hold_what_was_asked_for_and_the_last_has_no_token(petitions: Petitions) -> None:
    created = [(await petitions.create()).petition_id for _ in range(5)]
    sizes = {size: [len(page) for page in await pages(petitions, NEWEST, size)] for size in (1, 2, 5, 1000)}
    assert sizes == {1: [1] * 5, 2: [2, 2, 1], 5: [5], 1000: [5]}
    assert [p.petition_id for page in await pages(petitions, NEWEST, 2) for p in page] == created[::-1]


async def test_a_page_holds_50_unless_asked_otherwise(petitions: Petitions, db: Connection) -> None:
    await stored_petitions(db, [0] * 51)
    assert [len(page) for page in await pages(petitions, NEWEST, 0)] == [50, 1]
    assert [len(page) for page in await pages(petitions, MOST_SIGNED, 0)] == [50, 1]


async def test_no_petitions_is_an_empty_page(petitions: Petitions) -> None:
    assert await pages(petitions, NEWEST, 0) == [[]]
    assert await pages(petitions, MOST_SIGNED, 0) == [[]]


async def test_pages_stay_where_they_were_while_petitions_are_added(petitions: Petitions) -> None:
    created = [(await petitions.create()).petition_id for _ in range(6)]
    seen, token = [], ""
    for _ in range(3):
        page = await petitions.stub.ListPetitions(messages.ListPetitionsRequest(page_size=2, page_token=token))
        seen += [p.petition_id for p in page.petitions]
        token = page.next_page_token
        await petitions.create()
    assert seen == created[::-1]
    assert token == ""


async def test_most_signed_follows_the_signatures_exactly(petitions: Petitions) -> None:
    created = [(await petitions.create()).petition_id for _ in range(4)]
    for petition_id, signers in zip(created, (2, 130, 0, 2), strict=True):
        await petitions.signed_by(petition_id, signers)
    expected = [(created[1], 130), (created[3], 2), (created[0], 2), (created[2], 0)]
    for size in (1, 3, 10):
        listed = [p for page in await pages(petitions, MOST_SIGNED, size) for p in page]
        assert [(p.petition_id, p.co_signer_count) for p in listed] == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_most_signed_is_exact_where_ranks_become_coarse_and_where_counts_tie(
    petitions: Petitions, db: Connection, size: int
) -> None:
    """Below 128 the index holds the count itself, above a rank of several counts."""
    counts = [
        0,
        0,
        1,
        126,
        127,
        127,
        128,
        128,
        129,
        129,
        130,
        131,
        255,
        256,
        257,
        258,
        259,
        1000,
        1003,
        1003,
        1_000_000,
    ]
    random.Random(7).shuffle(counts)
    await stored_petitions(db, counts)
    listed = [p for page in await pages(petitions, MOST_SIGNED, size) for p in page]
    keys = [(p.co_signer_count, p.petition_id) for p in listed]
    assert keys == sorted(keys, reverse=True)
    assert sorted(count for count, _ in keys) == sorted(counts)


@pytest.mark.parametrize("order", [NEWEST, MOST_SIGNED])
async def test_withdrawn_petitions_are_not_listed_and_closed_ones_are(
    petitions: Petitions, order: messages.PetitionOrder.ValueType
) -> None:
    open_, closed, withdrawn = [await petitions.create() for _ in range(3)]
    for petition in (closed, withdrawn):
        await petitions.sign(petition.petition_id)
    await petitions.close(closed.petition_id)
    await petitions.withdraw(withdrawn)
    for order in (NEWEST, MOST_SIGNED):
        (page,) = await pages(petitions, order, 0)
        assert {p.petition_id for p in page} == {open_.petition_id, closed.petition_id}


async def test_signers_are_listed_by_ordinal_in_pages(petitions: Petitions) -> None:
    petition_id = (await petitions.create()).petition_id
    users = await petitions.signed_by(petition_id, 7, region_code="DE")
    await petitions.withdraw_signature(petition_id, users[3])
    listed, token = [], ""
    while True:
        page = await petitions.stub.ListCoSigners(
            messages.ListCoSignersRequest(petition_id=petition_id, page_size=2, page_token=token)
        )
        listed += [(c.ordinal, c.user_id) for c in page.co_signs]
        assert all((c.petition_id, c.region_code) == (petition_id, "DE") for c in page.co_signs)
        token = page.next_page_token
        if not token:
            break
    assert listed == [(n, user) for n, user in enumerate(users, start=1) if n != 4]


async def test_signers_who_come_while_pages_are_read_are_on_later_pages(petitions: Petitions) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 3)
    first = await petitions.stub.ListCoSigners(messages.ListCoSignersRequest(petition_id=petition_id, page_size=2))
    await petitions.signed_by(petition_id, 1)
    second = await petitions.stub.ListCoSigners(
        messages.ListCoSignersRequest(petition_id=petition_id, page_size=2, page_token=first.next_page_token)
    )
    assert [c.ordinal for c in (*first.co_signs, *second.co_signs)] == [1, 2, 3, 4]
    assert not second.next_page_token


async def test_a_petition_nobody_signed_lists_no_signers(petitions: Petitions) -> None:
    petition_id = (await petitions.create()).petition_id
    page = await petitions.stub.ListCoSigners(messages.ListCoSignersRequest(petition_id=petition_id))
    assert (list(page.co_signs), page.next_page_token) == ([], "")


async def test_a_token_of_another_listing_is_refused(petitions: Petitions) -> None:
    one, other = [await petitions.create() for _ in range(2)]
    for petition in (one, other):
        await petitions.signed_by(petition.petition_id, 5)
    stub = petitions.stub
    tokens = {
        "newest": (await stub.ListPetitions(messages.ListPetitionsRequest(page_size=1))).next_page_token,
        "most signed": (
            await stub.ListPetitions(messages.ListPetitionsRequest(page_size=1, order=MOST_SIGNED))
        ).next_page_token,
    }
    for name, petition in (("one", one), ("other", other)):
        signers = messages.ListCoSignersRequest(petition_id=petition.petition_id, page_size=1)
        passings = messages.ListEscalationsRequest(petition_id=petition.petition_id, page_size=1)
        tokens[f"signers of {name}"] = (await stub.ListCoSigners(signers)).next_page_token
        tokens[f"escalations of {name}"] = (await stub.ListEscalations(passings)).next_page_token
    assert all(tokens.values())
    for name, token in tokens.items():
        calls: dict[str, Awaitable[object]] = {
            "newest": stub.ListPetitions(messages.ListPetitionsRequest(page_token=token)),
            "most signed": stub.ListPetitions(messages.ListPetitionsRequest(page_token=token, order=MOST_SIGNED)),
            "signers of one": stub.ListCoSigners(
                messages.ListCoSignersRequest(petition_id=one.petition_id, page_token=token)
            ),
            "escalations of one": stub.ListEscalations(
                messages.ListEscalationsRequest(petition_id=one.petition_id, page_token=token)
            ),
        }
        for listing, call in calls.items():
            if listing == name:
                await call
            else:
                answer = await refused(call)
                assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"])


GARBAGE = [
    "x",
    "????",
    "nöt base64",
    "bnVsbA",
    "W10",
    encode_page_token("newest"),
    encode_page_token("newest", "not a uuid"),
    encode_page_token("newest", 7),
    encode_page_token("newest", "11111111-1111-4111-8111-111111111111", 1),
    encode_page_token("newest", [1]),
]


async def test_garbage_is_not_a_page_token(petitions: Petitions) -> None:
    for token in GARBAGE:
        answer = await refused(petitions.stub.ListPetitions(messages.ListPetitionsRequest(page_token=token)))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"])


IMPOSSIBLE = [2**31, -(2**31) - 1, 2**63, "1e400", 1.5, None, [1], {}, "x"]


@pytest.mark.parametrize("part", IMPOSSIBLE, ids=str)
async def test_a_page_token_with_an_impossible_key_is_refused_by_every_listing(
    petitions: Petitions, part: object
) -> None:
    petition_id = (await petitions.create()).petition_id
    calls: list[Awaitable[object]] = [
        petitions.stub.ListPetitions(
            messages.ListPetitionsRequest(
                order=MOST_SIGNED, page_token=encode_page_token("most_signed", part, petition_id)
            )
        ),
        petitions.stub.ListCoSigners(
            messages.ListCoSignersRequest(
                petition_id=petition_id, page_token=encode_page_token(f"co_signs/{petition_id}", part)
            )
        ),
        petitions.stub.ListEscalations(
            messages.ListEscalationsRequest(
                petition_id=petition_id, page_token=encode_page_token(f"escalations/{petition_id}", 1, part)
            )
        ),
    ]
    answers = await asyncio.gather(*(refused(call) for call in calls))
    assert {answer.said for answer in answers} == {("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")}
