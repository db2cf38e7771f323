"""Reading coupons and claims. Nothing here waits for a writer or counts rows."""

from array import array
from dataclasses import dataclass
from sys import byteorder
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token
from libs.data.transaction import Snapshot
from services.claims.coupons.errors import CouponNotFound
from services.claims.coupons.model import Claim, Coupon
from services.claims.coupons.store_coupons import COLUMNS, GET, to_coupon

# Claimants that are told with their coupon; all others are paged through.
MOST_CLAIMANTS = 1_000

FIRST_CLAIMANTS = """
SELECT c.user_id FROM claims.claims c WHERE c.coupon_name = $1 AND c.ordinal <= $2 ORDER BY c.ordinal
"""


async def get(snapshot: Snapshot, name: str) -> tuple[Coupon, list[UUID]]:
    """A coupon and its first claimants; a repeatable snapshot makes them agree."""
    row = await snapshot.fetchrow(GET, name)
    if row is None:
        raise CouponNotFound(name)
    claimants = await snapshot.fetch(FIRST_CLAIMANTS, name, MOST_CLAIMANTS)
    return to_coupon(row), [claimant[0] for claimant in claimants]


LIST = f"SELECT {COLUMNS} FROM claims.coupons WHERE name > $1 ORDER BY name LIMIT $2"


async def list_coupons(snapshot: Snapshot, size: int, token: str) -> tuple[list[Coupon], str]:
    """One page by name, and the next page's token."""
    (after,) = decode_page_token(token, "coupons", str) or ("",)
    rows = await snapshot.fetch(LIST, after, size + 1)
    coupons = [to_coupon(row) for row in rows[:size]]
    return coupons, encode_page_token("coupons", coupons[-1].name) if len(rows) > size else ""


CLAIMS = """
SELECT coupon_name, user_id, ordinal, remaining_amount, request_id, claimed_time FROM claims.claims
WHERE coupon_name = $1 AND ordinal > $2
ORDER BY ordinal
LIMIT $3
"""
EXISTS = "SELECT EXISTS (SELECT FROM claims.coupons WHERE name = $1)"


async def list_claims(snapshot: Snapshot, name: str, size: int, token: str) -> tuple[list[Claim], str]:
    """One page of a coupon's claims by ordinal, and the next page's token."""
    listing = f"claims/{name}"
    (after,) = decode_page_token(token, listing, int) or (0,)
    rows = await snapshot.fetch(CLAIMS, name, after, size + 1)
    if not rows and not await snapshot.fetchval(EXISTS, name):
        raise CouponNotFound(name)
    claims = [Claim(*row) for row in rows[:size]]
    return claims, encode_page_token(listing, claims[-1].ordinal) if len(rows) > size else ""


@dataclass(frozen=True, slots=True)
class Emptied:
    """A coupon that is sold out, as of one version.

    Args:
        claimants: the second halves of the claimants' ids, ascending: eight bytes each.
        complete: whether these are all; else there are none, because there are more than are wanted.
    """

    version: int
    claim_count: int
    claimants: "array[int]"
    complete: bool


# Sorting by the bytes of unsigned numbers, highest first, is sorting by the numbers.
EMPTIED = """
SELECT c.version, c.claim_count, CASE WHEN c.claim_count <= $2 THEN (
    SELECT string_agg(half, '' ORDER BY half)
    FROM (SELECT substring(uuid_send(user_id) FROM 9) AS half FROM claims.claims WHERE coupon_name = $1) AS halves
) END AS claimants
FROM claims.coupons c WHERE c.name = $1 AND c.remaining_amount = 0
"""


async def emptied(snapshot: Snapshot, name: str, most_claimants: int) -> Emptied | None:
    """Who has a coupon of which nothing is left; None if something is."""
    row = await snapshot.fetchrow(EMPTIED, name, most_claimants)
    if row is None:
        return None
    claimants = array("Q")
    assert claimants.itemsize == 8
    claimants.frombytes(row["claimants"] or b"")
    if byteorder == "little":
        claimants.byteswap()
    return Emptied(row["version"], row["claim_count"], claimants, len(claimants) == row["claim_count"])


def half(user_id: UUID) -> int:
    """What `Emptied.claimants` knows of a user."""
    return user_id.int & (2**64 - 1)
