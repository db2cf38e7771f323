"""Whether signing and counting get slower as a petition grows: one with very many signers beside an empty one."""

from statistics import median

from pydantic import BaseModel
from rich.table import Table

from libs.cli.callers.fleet import Fleet, fleet
from libs.cli.callers.orders import Method, Order
from libs.cli.callers.petitions import petitions
from libs.cli.load_progress import progress
from libs.cli.output import console
from libs.devstack.errors import DevstackError
from libs.devstack.status import StackStatus

ROUNDS = 7
SECONDS = 2.0
MOST = 1.3
_BATCH = 500
_METHODS: tuple[Method, ...] = ("CoSign", "GetCoSignerCount")


class Compared(BaseModel):
    """The 99th percentiles of one method in milliseconds, medians over the rounds, and the median of their ratios."""

    method: Method
    empty_p99_ms: float
    full_p99_ms: float
    ratio: float

    @property
    def met(self) -> bool:
        return self.ratio <= MOST


class SizeReport(BaseModel):
    """What was compared, and whether the large petition's counter equals its rows afterwards."""

    signers: int
    compared: list[Compared]
    exact: bool


def compare(status: StackStatus, signers: int, callers: int, processes: int) -> SizeReport:
    """Signs a petition `signers` times through the service, then calls it and an empty one in turns."""
    address = status.services["petition"].address
    with petitions(address) as service, fleet(processes) as clients:
        full = service.create(f"{signers:,} signers", ())
        _fill(clients, address, full, signers)
        latencies: dict[Method, list[tuple[float, float]]] = {method: [] for method in _METHODS}
        with progress("rounds", ROUNDS) as advance:
            for number in range(ROUNDS):
                empty = service.create("Nobody yet", ())
                for method in _METHODS:
                    there = {
                        petition: _p99_ms(
                            clients,
                            Order(
                                address=address,
                                method=method,
                                resources=[petition],
                                callers=callers,
                                seconds=SECONDS,
                                prepared=20_000 if method == "CoSign" else 0,
                            ),
                        )
                        for petition in ((empty, full) if number % 2 else (full, empty))
                    }
                    latencies[method].append((there[empty], there[full]))
                advance(1)
        standing = service.standing(full)
    compared = [
        Compared(
            method=method,
            empty_p99_ms=median(empty for empty, _ in pairs),
            full_p99_ms=median(full for _, full in pairs),
            ratio=median(full / empty for empty, full in pairs),
        )
        for method, pairs in latencies.items()
    ]
    return SizeReport(signers=signers, compared=compared, exact=standing.counter == standing.counted)


def _fill(clients: Fleet, address: str, petition_id: str, signers: int) -> None:
    calls = -(-signers // _BATCH)
    order = Order(address=address, method="BatchCoSign", resources=[petition_id], callers=4, calls=calls, batch=_BATCH)
    with progress(f"{signers:,} signers", calls) as advance:
        outcome = clients.run(order, advance)
    if outcome.failures:
        raise DevstackError(f"could not sign the petition {signers:,} times: {dict(outcome.failures)}")


def _p99_ms(clients: Fleet, order: Order) -> float:
    outcome = clients.run(order)
    if outcome.failures:
        raise DevstackError(f"{order.method} failed: {dict(outcome.failures)}")
    return outcome.percentile(0.99) * 1e3


def show(report: SizeReport) -> None:
    table = Table("", "p99 empty", f"p99 with {report.signers:,}", "ratio", f"≤ {MOST}", box=None, pad_edge=False)
    for row in report.compared:
        verdict = "[green]met[/]" if row.met else "[red]short[/]"
        table.add_row(
            row.method, f"{row.empty_p99_ms:.1f} ms", f"{row.full_p99_ms:.1f} ms", f"{row.ratio:.2f}", verdict
        )
    console.print(table)
    console.print("counter = rows" if report.exact else "[red]the counter differs from the rows[/]")
