"""Reading petitions, signatures and counts. Nothing here waits for a writer or counts rows, verification apart."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.data.commit_tokens import CommitToken, encode_token
from libs.data.pages import decode_page_token, encode_page_token
from libs.data.transaction import Record, Snapshot
from services.petition.errors import PetitionNotFound
from services.petition.model import Escalation, EscalationKind, Petition, Signature
from services.petition.store_petitions import COLUMNS, to_petition

GET = f"SELECT {COLUMNS} FROM petition.petition_submissions WHERE petition_id = $1"


async def get(snapshot: Snapshot, petition_id: UUID) -> Petition:
    row = await snapshot.fetchrow(GET, petition_id)
    if row is None:
        raise PetitionNotFound(petition_id)
    return to_petition(row)


NEWEST = f"""
SELECT {COLUMNS} FROM petition.petition_submissions
WHERE state <> 'withdrawn' AND petition_id < $1
ORDER BY petition_id DESC
LIMIT $2
"""
AFTER_ALL = UUID(int=2**128 - 1)


async def list_newest(snapshot: Snapshot, size: int, token: str) -> tuple[list[Petition], str]:
    """One page, last created first, and the next page's token."""
    (before,) = decode_page_token(token, "newest", UUID) or (AFTER_ALL,)
    rows = await snapshot.fetch(NEWEST, before, size + 1)
    petitions = [to_petition(row) for row in rows[:size]]
    return petitions, encode_page_token("newest", str(petitions[-1].petition_id)) if len(rows) > size else ""


# The index holds the coarse rank only, so that counting stays heap-only. From rank 128 on a rank spans several counts: its few
# petitions are sorted. Below, rank is the count, and the index itself has the order; most petitions are there.
MOST_SIGNED = f"""
(SELECT {COLUMNS}, signature_rank FROM petition.petition_submissions
 WHERE state <> 'withdrawn' AND signature_rank >= 128 AND signature_rank <= operations.rank_of($1::bigint)
   AND (co_signer_count, petition_id) < ($1::integer, $2::uuid)
 ORDER BY signature_rank DESC, co_signer_count DESC, petition_id DESC
 LIMIT $3)
UNION ALL
(SELECT {COLUMNS}, signature_rank FROM petition.petition_submissions
 WHERE state <> 'withdrawn' AND signature_rank < 128
   AND (signature_rank, petition_id) < (least($1::bigint, 128)::integer, $2::uuid)
 ORDER BY signature_rank DESC, petition_id DESC
 LIMIT $3)
ORDER BY signature_rank DESC, co_signer_count DESC, petition_id DESC
LIMIT $3
"""
ABOVE_ALL = 2**31 - 1


async def list_most_signed(snapshot: Snapshot, size: int, token: str) -> tuple[list[Petition], str]:
    """One page, most signatures first and newest first among equals, and the next page's token."""
    count, before = decode_page_token(token, "most_signed", int, UUID) or (ABOVE_ALL, AFTER_ALL)
    rows = await snapshot.fetch(MOST_SIGNED, count, before, size + 1)
    petitions = [to_petition(row) for row in rows[:size]]
    if len(rows) <= size:
        return petitions, ""
    last = petitions[-1]
    return petitions, encode_page_token("most_signed", last.co_signer_count, str(last.petition_id))


CO_SIGNS = """
SELECT petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time FROM petition.co_signs
WHERE petition_id = $1 AND ordinal > $2
ORDER BY ordinal
LIMIT $3
"""
EXISTS = "SELECT EXISTS (SELECT FROM petition.petition_submissions WHERE petition_id = $1)"


async def list_co_signs(snapshot: Snapshot, petition_id: UUID, size: int, token: str) -> tuple[list[Signature], str]:
    """One page of the signatures that stand, by ordinal, and the next page's token."""
    listing = f"co_signs/{petition_id}"
    (after,) = decode_page_token(token, listing, int) or (0,)
    rows = await snapshot.fetch(CO_SIGNS, petition_id, after, size + 1)
    if not rows:
        await _must_exist(snapshot, petition_id)
    signatures = [Signature(*row) for row in rows[:size]]
    return signatures, encode_page_token(listing, signatures[-1].ordinal) if len(rows) > size else ""


ESCALATIONS = """
SELECT petition_id, threshold, kind, co_signer_count, ordinal, recorded_time, version, position FROM petition.escalations
WHERE petition_id = $1 AND (version, position) > ($2, $3)
ORDER BY version, position
LIMIT $4
"""


async def list_escalations(
    snapshot: Snapshot, petition_id: UUID, size: int, token: str
) -> tuple[list[Escalation], str]:
    """One page of the thresholds passed, in the order they were, and the next page's token."""
    listing = f"escalations/{petition_id}"
    version, position = decode_page_token(token, listing, int, int) or (-1, -1)
    rows = await snapshot.fetch(ESCALATIONS, petition_id, version, position, size + 1)
    if not rows:
        await _must_exist(snapshot, petition_id)
    page = rows[:size]
    escalations = [
        Escalation(
            r["petition_id"],
            r["threshold"],
            EscalationKind(r["kind"]),
            r["co_signer_count"],
            r["ordinal"],
            r["recorded_time"],
        )
        for r in page
    ]
    more = len(rows) > size
    return escalations, encode_page_token(listing, page[-1]["version"], page[-1]["position"]) if more else ""


async def exists(snapshot: Snapshot, petition_id: UUID) -> bool:
    return bool(await snapshot.fetchval(EXISTS, petition_id))


async def _must_exist(snapshot: Snapshot, petition_id: UUID) -> None:
    if not await exists(snapshot, petition_id):
        raise PetitionNotFound(petition_id)


@dataclass(frozen=True, slots=True)
class CountRead:
    """A count as read: when, from where, which commits it reflects, and how far behind them it may be, in seconds."""

    value: int
    as_of_time: datetime
    from_replica: bool
    token: CommitToken
    age_seconds: float


# The sum of regions is subtracted in the same statement, so what carries no region is exact too.
COUNT = """
SELECT co_signer_count, statement_timestamp() AS as_of_time,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
FROM petition.petition_submissions WHERE petition_id = $1
"""
COUNT_BY_REGION = """
SELECT p.co_signer_count, statement_timestamp() AS as_of_time,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
       array_agg(r.region_code) FILTER (WHERE r.co_signer_count > 0) AS regions,
       array_agg(r.co_signer_count) FILTER (WHERE r.co_signer_count > 0) AS counts
FROM petition.petition_submissions p LEFT JOIN petition.region_counts r USING (petition_id)
WHERE p.petition_id = $1
GROUP BY p.petition_id
"""


async def count(snapshot: Snapshot, petition_id: UUID) -> CountRead:
    """The counter of a petition."""
    row = await snapshot.fetchrow(COUNT, petition_id)
    if row is None:
        raise PetitionNotFound(petition_id)
    return _count_read(snapshot, row)


async def count_by_region(snapshot: Snapshot, petition_id: UUID) -> tuple[CountRead, list[tuple[str, int]]]:
    """The counter and its parts by region, most first, in one snapshot; '' is those without a region."""
    row = await snapshot.fetchrow(COUNT_BY_REGION, petition_id)
    if row is None:
        raise PetitionNotFound(petition_id)
    parts = list(zip(row["regions"] or (), row["counts"] or (), strict=True))
    unspecified = row["co_signer_count"] - sum(n for _, n in parts)
    if unspecified:
        parts.append(("", unspecified))
    return _count_read(snapshot, row), sorted(parts, key=lambda part: (-part[1], part[0]))


def _count_read(snapshot: Snapshot, row: Record) -> CountRead:
    token = encode_token(row["horizon"] - 1)
    as_of_time = row["as_of_time"] - timedelta(seconds=snapshot.lag_seconds)
    return CountRead(row["co_signer_count"], as_of_time, snapshot.from_replica, token, snapshot.lag_seconds)
