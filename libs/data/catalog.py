"""Every counter there is, by declaration. Serving, verification, repair and index checks follow from this page alone."""

from libs.data.counters import CountedRows, Counter
from libs.data.stock import Stock
from libs.data.tables import Table

PETITIONS = Table(
    name="petition.petition_submissions",
    key="petition_id",
    locked_columns=("state", "co_signer_count", "last_ordinal", "escalation_thresholds"),
    aggregate="petition",
)

CO_SIGNERS = Counter(
    name="petition.co_signers",
    description="Signatures that stand under a petition.",
    aggregate=PETITIONS,
    column="co_signer_count",
    counts=CountedRows("petition.co_signs", ("petition_id",)),
    rank_column="signature_rank",
    listed="state <> 'withdrawn'",
    unlisted_by=("petition.withdrawn",),
)

# Numbers given out to signers. Never falls, so it counts no rows.
ORDINALS = Counter(
    name="petition.ordinals",
    description="Ordinals given out to a petition's signers, withdrawn ones included.",
    aggregate=PETITIONS,
    column="last_ordinal",
)

CO_SIGNERS_BY_REGION = Counter(
    name="petition.region_co_signers",
    description="Signatures that stand under a petition and carry a region code.",
    aggregate=PETITIONS,
    table="petition.region_counts",
    breakdown=("region_code",),
    column="co_signer_count",
    counts=CountedRows("petition.co_signs", ("petition_id", "region_code")),
)

COUPONS = Table(
    name="claims.coupons",
    key="name",
    key_type="text",
    locked_columns=(
        "amount",
        "restocked_amount",
        "remaining_amount",
        "claim_count",
        "waiting_count",
        "last_position",
    ),
    aggregate="coupon",
)

_CLAIMS = CountedRows("claims.claims", ("coupon_name",))

COUPON_REMAINING = Counter(
    name="claims.coupon_remaining",
    description="How many of a coupon can still be claimed.",
    aggregate=COUPONS,
    column="remaining_amount",
    counts=_CLAIMS,
    remains_of="amount::bigint + restocked_amount",
)

COUPON_CLAIMS = Counter(
    name="claims.coupon_claims",
    description="Claims of a coupon.",
    aggregate=COUPONS,
    column="claim_count",
    counts=_CLAIMS,
)

# Grows with each delivery. A sum of amounts, so it counts no rows.
COUPON_RESTOCKED = Counter(
    name="claims.coupon_restocked",
    description="How many of a coupon were added after it was created.",
    aggregate=COUPONS,
    column="restocked_amount",
)

COUPON_WAITING = Counter(
    name="claims.coupon_waiting",
    description="People who wait for a coupon.",
    aggregate=COUPONS,
    column="waiting_count",
    counts=CountedRows("claims.waitlist", ("coupon_name",), where="served_time IS NULL"),
)

COUPON_POSITIONS = Counter(
    name="claims.coupon_positions",
    description="Places given out in a coupon's waitlist, those already served included.",
    aggregate=COUPONS,
    column="last_position",
    counts=CountedRows("claims.waitlist", ("coupon_name",)),
)

COUPON_STOCK = Stock(COUPON_REMAINING, (COUPON_CLAIMS,), put_in=COUPON_RESTOCKED)

FOOD_POSTS = Table(
    name="claims.food_posts",
    key="food_post_id",
    locked_columns=(
        "giver_id",
        "status",
        "portions_remaining",
        "portions_held",
        "portions_claimed",
        "completed_count",
    ),
    aggregate="food_post",
)


def _exchanged(*statuses: str, quantity: str = "portions") -> CountedRows:
    wanted = ", ".join(f"'{status}'" for status in statuses)
    return CountedRows("claims.exchanges", ("food_id",), where=f"status IN ({wanted})", quantity=quantity)


PORTIONS_REMAINING = Counter(
    name="claims.portions_remaining",
    description="Portions of a food post that can be claimed.",
    aggregate=FOOD_POSTS,
    column="portions_remaining",
    counts=_exchanged("pending", "confirmed", "completed"),
    remains_of="portions",
)

PORTIONS_HELD = Counter(
    name="claims.portions_held",
    description="Portions of a food post's pending exchanges.",
    aggregate=FOOD_POSTS,
    column="portions_held",
    counts=_exchanged("pending"),
)

PORTIONS_CLAIMED = Counter(
    name="claims.portions_claimed",
    description="Portions of a food post's confirmed and completed exchanges.",
    aggregate=FOOD_POSTS,
    column="portions_claimed",
    counts=_exchanged("confirmed", "completed"),
)

EXCHANGES_COMPLETED = Counter(
    name="claims.exchanges_completed",
    description="Exchanges of a food post that were completed.",
    aggregate=FOOD_POSTS,
    column="completed_count",
    counts=_exchanged("completed", quantity=""),
)

FOOD_STOCK = Stock(PORTIONS_REMAINING, (PORTIONS_HELD, PORTIONS_CLAIMED))

CONVERSATIONS = Table(
    name="voting.conversations",
    key="conversation_id",
    locked_columns=(
        "state",
        "opinion_count",
        "vote_count",
        "participant_count",
        "visible_opinion_count",
        "visible_vote_count",
        "visible_participant_count",
    ),
    aggregate="conversation",
)

OPINIONS = Counter(
    name="voting.opinions",
    description="Opinions in a conversation, moderated ones included.",
    aggregate=CONVERSATIONS,
    column="opinion_count",
    counts=CountedRows("voting.opinions", ("conversation_id",), where="state <> 'deleted'"),
)

VOTES = Counter(
    name="voting.votes",
    description="Votes that stand in a conversation, those on moderated opinions included.",
    aggregate=CONVERSATIONS,
    column="vote_count",
    counts=CountedRows("voting.votes", ("conversation_id",)),
)

PARTICIPANTS = Counter(
    name="voting.participants",
    description="People with at least one vote in a conversation.",
    aggregate=CONVERSATIONS,
    column="participant_count",
    counts=CountedRows("voting.votes", ("conversation_id",), distinct="user_id"),
)

VISIBLE_OPINIONS = Counter(
    name="voting.visible_opinions",
    description="Opinions in a conversation that are not moderated away.",
    aggregate=CONVERSATIONS,
    column="visible_opinion_count",
    counts=CountedRows("voting.opinions", ("conversation_id",), where="state IN ('unmoderated', 'accepted')"),
)

VISIBLE_VOTES = Counter(
    name="voting.visible_votes",
    description="Votes that stand on a conversation's visible opinions.",
    aggregate=CONVERSATIONS,
    column="visible_vote_count",
    counts=CountedRows("voting.visible_votes", ("conversation_id",)),
)

VISIBLE_PARTICIPANTS = Counter(
    name="voting.visible_participants",
    description="People with at least one vote on a conversation's visible opinions.",
    aggregate=CONVERSATIONS,
    column="visible_participant_count",
    counts=CountedRows("voting.visible_votes", ("conversation_id",), distinct="user_id"),
)


def _of_opinion(name: str, description: str, column: str, vote: int) -> Counter:
    return Counter(
        name=name,
        description=description,
        aggregate=CONVERSATIONS,
        table="voting.opinions",
        breakdown=("opinion_id",),
        breakdown_type="uuid",
        rows_appear=False,
        column=column,
        counts=CountedRows("voting.votes", ("conversation_id", "opinion_id"), where=f"vote = {vote}"),
    )


OPINION_AGREES = _of_opinion("voting.opinion_agrees", "People who agree with an opinion.", "agree_count", 1)
OPINION_DISAGREES = _of_opinion(
    "voting.opinion_disagrees", "People who disagree with an opinion.", "disagree_count", -1
)
OPINION_PASSES = _of_opinion("voting.opinion_passes", "People who pass on an opinion.", "pass_count", 0)


def _of_participant(name: str, description: str, column: str, counted: str) -> Counter:
    return Counter(
        name=name,
        description=description,
        aggregate=CONVERSATIONS,
        table="voting.participants",
        breakdown=("user_id",),
        breakdown_type="uuid",
        served=False,
        column=column,
        counts=CountedRows(counted, ("conversation_id", "user_id")),
    )


# By these a vote tells whether it is its user's first or last, without looking at the others.
PARTICIPANT_VOTES = _of_participant(
    "voting.participant_votes", "A person's votes in a conversation.", "vote_count", "voting.votes"
)
PARTICIPANT_VISIBLE_VOTES = _of_participant(
    "voting.participant_visible_votes",
    "A person's votes on a conversation's visible opinions.",
    "visible_vote_count",
    "voting.visible_votes",
)

VOTING_COUNTERS = (
    OPINIONS,
    VOTES,
    PARTICIPANTS,
    VISIBLE_OPINIONS,
    VISIBLE_VOTES,
    VISIBLE_PARTICIPANTS,
    OPINION_AGREES,
    OPINION_DISAGREES,
    OPINION_PASSES,
    PARTICIPANT_VOTES,
    PARTICIPANT_VISIBLE_VOTES,
)

COUNTERS = {
    counter.name: counter
    for counter in (
        CO_SIGNERS,
        ORDINALS,
        CO_SIGNERS_BY_REGION,
        *COUPON_STOCK.counters,
        COUPON_WAITING,
        COUPON_POSITIONS,
        *FOOD_STOCK.counters,
        EXCHANGES_COMPLETED,
        *VOTING_COUNTERS,
    )
}
