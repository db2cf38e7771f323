"""What is measured: the rows of the table, and the bars between them."""

from dataclasses import dataclass
from typing import Literal, get_args

from libs.cli.callers.orders import Method

Contender = Literal[
    "bare", "refusing", "chain", "textbook", "tuned", "petition", "claims", "voting", "reputation", "aggregator"
]
Data = Literal[
    "none",
    "hot",
    "spread",
    "textbook",
    "full",
    "signed",
    "coupon",
    "textbook-coupon",
    "few",
    "textbook-few",
    "sold-out",
    "posts",
    "groups",
    "group-pages",
    "summary",
    "opinions",
    "textbook-opinions",
    "conversation",
    "import",
    "large",
    "huge",
    "newest",
    "top",
    "controversial",
    "group",
    "users",
    "ledger",
    "textbook-ledger",
]
Order = Literal["newest", "top", "controversial", "group"]
ORDERS: tuple[Order, ...] = get_args(Order)
Figure = Literal["calls", "items", "p50", "p99"]


@dataclass(frozen=True)
class Row:
    """One kind of call to one contender.

    Args:
        data: which petitions the calls are about: `hot` is a new one a round, `spread` a thousand new ones, `signed` a new
            one with some signatures, `full` the one that was filled before. Or which coupons: `coupon` is a new one with
            stock for everybody, of `few` there are 50, of `sold-out` none are left. `posts` are the groups of
            a hundred thousand food posts, `groups` the same with a hundred thousand members, `group-pages` the pages of
            their listing, and `summary` is what went on in all of them. Or which opinions: `opinions` are those of a new
            `conversation`, `newest` and so on are listings of a large one, `large` are some of its opinions, `huge` is one of
            two million votes, `import` is what is still to be imported. `users` are some of a million, `ledger` is
            that of a new user.
        callers: concurrent ones; 0 stands for the number on the command line.
        calls: how many there are in all, instead of as many as fit into the time.
        voters: concurrent ones, who vote on the opinions of the same conversation all the while.
        analysing: whether the conversation is analysed all the while, without a pause.
        by_name: only where it is asked for by its name, because it takes minutes to prepare.
    """

    name: str
    title: str
    contender: Contender
    method: Method | Literal["Analysis"]
    data: Data
    callers: int = 0
    batch: int = 1
    calls: int = 0
    voters: int = 0
    analysing: bool = False
    by_name: bool = False


@dataclass(frozen=True)
class Bar:
    """A figure of a row, by itself or as a multiple of another row's, and what it should be.

    Args:
        aim: a wish, not a promise: it depends on the machine.
    """

    row: str
    figure: Figure
    against: str | None
    at_least: float | None = None
    at_most: float | None = None
    aim: bool = False

    def met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        unit = f" x {self.against}" if self.against else ("/s" if self.figure in ("calls", "items") else " s")
        return f"{self.figure} {sign} {bound:,g}{unit}"


THROUGHPUT = (
    Row("bare", "bare server, empty CoSign", "bare", "CoSign", "none"),
    Row("chain", "the same behind the chain", "chain", "CoSign", "none"),
    Row("textbook", "textbook transaction, hot row", "textbook", "CoSign", "textbook"),
    Row("textbook-tuned", "textbook, with a pool of 2", "tuned", "CoSign", "textbook"),
    Row("hot", "CoSign, one petition", "petition", "CoSign", "hot"),
    Row("spread", "CoSign, 1,000 petitions", "petition", "CoSign", "spread"),
    Row("batch", "BatchCoSign of 500, one petition", "petition", "BatchCoSign", "hot", callers=4, batch=500),
    Row("count", "GetCoSignerCount", "petition", "GetCoSignerCount", "signed"),
    Row("lone-textbook", "textbook, a lone caller", "textbook", "CoSign", "textbook", callers=1),
    Row("lone", "CoSign, a lone caller", "petition", "CoSign", "hot", callers=1),
    Row("bare-counter", "bare server, empty GetCounter", "bare", "GetCounter", "none"),
    Row("counter", "GetCounter from memory", "aggregator", "GetCounter", "signed"),
    Row("counters", "BatchGetCounters of 500", "aggregator", "BatchGetCounters", "spread", callers=4, batch=500),
)
BURST = 500
CLAIMS = (
    Row("bare-claim", "bare server, empty ClaimCoupon", "bare", "ClaimCoupon", "none"),
    Row("textbook-claim", "textbook transaction, hot coupon", "textbook", "ClaimCoupon", "textbook-coupon"),
    Row("claim", "ClaimCoupon, one coupon", "claims", "ClaimCoupon", "coupon"),
    Row("claim-batch", "BatchClaimCoupon of 500, one coupon", "claims", "BatchClaimCoupon", "coupon", 4, 500),
    Row("bare-refusal", "bare server, refuses ClaimCoupon", "refusing", "ClaimCoupon", "none"),
    Row("sold-out", "ClaimCoupon, sold out", "claims", "ClaimCoupon", "sold-out"),
    Row("textbook-burst", "textbook, 500 at once for 50", "textbook", "ClaimCoupon", "textbook-few", BURST, 1, BURST),
    Row("burst", "ClaimCoupon, 500 at once for 50", "claims", "ClaimCoupon", "few", BURST, 1, BURST),
    Row("discovery", "ListFoodPosts of 50 among 100,000", "claims", "ListFoodPosts", "posts", callers=8),
)
IMPORTED = 50_000
VOTING = (
    Row("bare-vote", "bare server, empty CastVote", "bare", "CastVote", "none"),
    Row("textbook-vote", "textbook transaction, hot conversation", "textbook", "CastVote", "textbook-opinions"),
    Row("vote", "CastVote, one conversation", "voting", "CastVote", "opinions"),
    Row("vote-batch", "BatchCastVotes of 500, one conversation", "voting", "BatchCastVotes", "opinions", 4, 500),
    Row("import", f"ImportConversation of {IMPORTED:,}", "voting", "ImportConversation", "import", 1, IMPORTED, 1),
    Row("conversation-idle", "GetConversation, nobody votes", "voting", "GetConversation", "conversation", callers=8),
    Row("conversation-busy", "GetConversation, 64 vote", "voting", "GetConversation", "conversation", 8, voters=64),
    Row("vote-large", "CastVote among 113,000 votes", "voting", "CastVote", "large", callers=8),
    Row("vote-analysing", "the same, analysed all the while", "voting", "CastVote", "large", 8, analysing=True),
    Row("analysis", "113,000 votes read, analysed, stored", "voting", "Analysis", "large", 1, calls=5),
    Row("analysis-huge", "2,000,000 votes, the same", "voting", "Analysis", "huge", 1, calls=5, by_name=True),
    *(
        Row(
            f"opinions-{order}", f"ListOpinions of 50 among 19,000, {order}", "voting", "ListOpinions", order, callers=8
        )
        for order in ORDERS
    ),
)
REPUTATION = (
    Row("bare-lookup", "bare server, empty GetReputation", "bare", "GetReputation", "none"),
    Row("lookup", "GetReputation among 1,000,000 users", "reputation", "GetReputation", "users"),
    Row("lookup-few", "the same by 16 callers", "reputation", "GetReputation", "users", callers=16),
    Row("lookups", "BatchGetReputations of 500", "reputation", "BatchGetReputations", "users", callers=4, batch=500),
    Row("textbook-event", "textbook transaction, one ledger", "textbook", "RecordReputationEvent", "textbook-ledger"),
    Row("event", "RecordReputationEvent, one user", "reputation", "RecordReputationEvent", "ledger"),
    Row("group-discovery", "ListGroups of 50 among 1,000", "reputation", "ListGroups", "group-pages", callers=8),
    Row("group-activity", "GetGroupActivity, 1,000 groups", "reputation", "GetGroupActivity", "groups", callers=8),
    Row("most-active", "ListGroupActivity of 50 among 1,000", "reputation", "ListGroupActivity", "summary", 8),
    Row(
        "group-refresh",
        "RefreshGroupActivity, 100,000 posts",
        "reputation",
        "RefreshGroupActivity",
        "summary",
        1,
        calls=5,
    ),
)
SIZE = (
    Row("sign-empty", "CoSign, petition without signers", "petition", "CoSign", "hot"),
    Row("sign-full", "CoSign, petition with many", "petition", "CoSign", "full"),
    Row("count-empty", "GetCoSignerCount, without signers", "petition", "GetCoSignerCount", "hot"),
    Row("count-full", "GetCoSignerCount, with many", "petition", "GetCoSignerCount", "full"),
)
ROWS = {row.name: row for row in (*THROUGHPUT, *CLAIMS, *VOTING, *REPUTATION, *SIZE)}

BARS = (
    Bar("chain", "calls", "bare", at_least=0.85),
    Bar("hot", "calls", "bare", at_least=0.60),
    Bar("hot", "calls", "textbook", at_least=3.5),
    Bar("hot", "calls", "textbook-tuned", at_least=3.5, aim=True),
    Bar("hot", "calls", "spread", at_least=0.95),
    Bar("batch", "items", "hot", at_least=10),
    Bar("batch", "items", None, at_least=60_000, aim=True),
    Bar("lone", "p50", "lone-textbook", at_most=1.5),
    Bar("counter", "calls", "bare-counter", at_least=0.85),
    Bar("counters", "items", None, at_least=200_000),
    Bar("claim", "calls", "bare-claim", at_least=0.60),
    Bar("claim", "calls", "textbook-claim", at_least=3.5),
    Bar("sold-out", "calls", "bare-claim", at_least=0.80),
    # What gRPC and the caller make of any refusal is not Tally's to save.
    Bar("sold-out", "calls", "bare-refusal", at_least=0.85, aim=True),
    # Half the time is twice the calls a second.
    Bar("burst", "calls", "textbook-burst", at_least=2.0),
    Bar("discovery", "p99", None, at_most=0.050),
    Bar("vote", "calls", "bare-vote", at_least=0.55),
    Bar("vote", "calls", "textbook-vote", at_least=4.0),
    Bar("import", "items", None, at_least=20_000),
    Bar("conversation-busy", "p99", "conversation-idle", at_most=2.0),
    Bar("vote-analysing", "p99", "vote-large", at_most=2.0),
    Bar("analysis", "p50", None, at_most=2.0),
    # A fifth of what an analysis may take.
    Bar("analysis-huge", "p50", None, at_most=3.0, aim=True),
    *(Bar(f"opinions-{order}", "p99", None, at_most=0.030) for order in ORDERS),
    Bar("lookup", "p99", None, at_most=0.020),
    # What 64 callers wait for a bare server on the same two processors is not Tally's to save.
    Bar("lookup", "p99", "bare-lookup", at_most=1.5, aim=True),
    Bar("lookup-few", "p99", None, at_most=0.020, aim=True),
    Bar("lookups", "items", None, at_least=50_000),
    Bar("event", "calls", "textbook-event", at_least=3.0),
    Bar("group-discovery", "p99", None, at_most=0.100),
    Bar("group-activity", "p99", None, at_most=0.050),
    Bar("most-active", "p99", None, at_most=0.050),
    Bar("group-refresh", "p99", None, at_most=10.0),
    Bar("sign-full", "p99", "sign-empty", at_most=1.3),
    Bar("sign-full", "p99", None, at_most=0.150, aim=True),
    Bar("count-full", "p99", "count-empty", at_most=1.3),
    Bar("count-full", "p99", None, at_most=0.100, aim=True),
)
