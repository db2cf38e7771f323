"""`tally load --claims`: twice as many buyers as there are coupons."""

import asyncio
import time
import uuid

import grpc
from pydantic import BaseModel, computed_field
from tally.claims.v1 import coupon_pb2, coupon_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub

from libs.cli.callers.fleet import fleet
from libs.cli.callers.orders import Order
from libs.cli.load_progress import progress
from libs.cli.output import console, failures_in_words, print_facts
from libs.cli.verify import compare
from libs.cli.verify_statistics import trouble
from libs.devstack.errors import DevstackError
from libs.devstack.status import StackStatus

OUT_OF_STOCK = "FAILED_PRECONDITION OUT_OF_STOCK"
_SECONDS = 60.0


class ClaimsReport(BaseModel):
    """What became of a rush. Latencies are in milliseconds, refusals included."""

    coupon_name: str
    sent: int
    stock: int
    claimed: int
    out_of_stock: int
    failures: dict[str, int]
    remaining: int
    counter: int
    counted: int
    deadlocks: int
    seconds: float
    calls_per_second: float
    p50_ms: float
    p99_ms: float

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def complete(self) -> bool:
        """All that there was is sold, nobody has two, everybody else was told so, and nothing went wrong on the way."""
        sold = self.stock == self.claimed == self.counter == self.counted and self.remaining == 0
        return sold and self.claimed + self.out_of_stock == self.sent and not self.failures and not self.deadlocks


def run(status: StackStatus, count: int, callers: int, processes: int) -> ClaimsReport:
    """Lets `count` users claim a coupon of which there is half as many, and looks at what they left behind."""
    if count < 2:
        raise DevstackError("a rush takes at least two buyers")
    address, database_url = status.services["claims"].address, status.database_url
    assert database_url is not None
    stock = count // 2
    with grpc.insecure_channel(address) as channel, fleet(processes) as clients:
        stub = CouponServiceStub(channel)
        name = _create(stub, stock)
        before = trouble(database_url)
        order = Order(
            address=address,
            method="ClaimCoupon",
            resources=[name],
            callers=callers,
            calls=count,
            prepared=min(count, 100_000),
            refusals=[OUT_OF_STOCK],
        )
        with progress(f"{count:,} buyers", count) as advance:
            outcome = clients.run(order, advance)
        time.sleep(1.1)  # what a session noticed, it reports a second later
        after = trouble(database_url)
        coupon = _get(stub, name)
    (compared,) = asyncio.run(compare(database_url, [name], ["claims.coupon_claims"])).counters
    counted = compared.discrepancies[0].counted if compared.discrepancies else coupon.claim_count
    return ClaimsReport(
        coupon_name=name,
        sent=count,
        stock=stock,
        claimed=outcome.items,
        out_of_stock=outcome.refused,
        failures=dict(outcome.failures),
        remaining=coupon.remaining_amount,
        counter=coupon.claim_count,
        counted=counted,
        deadlocks=after.deadlocks - before.deadlocks,
        seconds=outcome.seconds,
        calls_per_second=outcome.call_rate,
        p50_ms=outcome.percentile(0.50) * 1e3,
        p99_ms=outcome.percentile(0.99) * 1e3,
    )


def show(report: ClaimsReport) -> None:
    facts = (
        ("coupon", report.coupon_name),
        ("buyers", f"{report.sent:,}"),
        ("in stock", f"{report.stock:,}"),
        ("claimed", f"{report.claimed:,}"),
        ("told that nothing is left", f"{report.out_of_stock:,}"),
        ("counter", f"{report.counter:,}"),
        ("rows", f"{report.counted:,}"),
        ("remaining", f"{report.remaining:,}"),
        ("failed calls, timeouts and lock errors included", failures_in_words(report.failures)),
        ("deadlocks", str(report.deadlocks)),
        ("seconds", f"{report.seconds:.1f}"),
        ("calls/s", f"{report.calls_per_second:,.0f}"),
        ("p50, p99 of a call", f"{report.p50_ms:.1f} ms, {report.p99_ms:.1f} ms"),
    )
    print_facts(facts)
    console.print("[green]sold out, exactly[/]" if report.complete else "[red]not as it should be[/]")


def _create(stub: CouponServiceStub, stock: int) -> str:
    name = f"a rush {uuid.uuid4()}"
    request = coupon_service_pb2.CreateCouponRequest(name=name, amount=stock, request_id=str(uuid.uuid4()))
    stub.CreateCoupon(request, timeout=_SECONDS)
    return name


def _get(stub: CouponServiceStub, name: str) -> coupon_pb2.Coupon:
    return stub.GetCoupon(coupon_service_pb2.GetCouponRequest(name=name), timeout=_SECONDS).coupon
