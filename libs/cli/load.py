"""`tally load`: very many calls about one petition, coupon or conversation, through real sockets."""

import time
from typing import Annotated

import typer
from pydantic import BaseModel, computed_field

from libs.cli.output import Json, console, errors, failures_in_words, print_facts, print_json
from libs.cli.stack import ensure_running
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings

THRESHOLDS = (100, 1_000, 10_000, 100_000, 1_000_000)


class LoadReport(BaseModel):
    """What became of a load. Latencies are in milliseconds."""

    petition_id: str
    sent: int
    acknowledged: int
    failures: dict[str, int]
    counter: int
    counted: int
    thresholds_crossed: list[int]
    thresholds_expected: list[int]
    deadlocks: int
    seconds: float
    signatures_per_second: float
    p50_ms: float
    p99_ms: float

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def complete(self) -> bool:
        """Everything sent was acknowledged, stored and counted, and nothing went wrong on the way."""
        return (
            self.sent == self.acknowledged == self.counter == self.counted
            and not self.failures
            and not self.deadlocks
            and self.thresholds_crossed == self.thresholds_expected
        )


def register(app: typer.Typer) -> None:
    app.command()(load)


def load(
    count: Annotated[int, typer.Option("--count", "--signatures", min=1, help="Signatures to send.")] = 100_000,
    callers: Annotated[int, typer.Option(min=1, help="Concurrent callers, all processes together.")] = 64,
    processes: Annotated[int, typer.Option(min=1, help="Client processes.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Signatures of a call; 1 for CoSign.")] = 1,
    signers: Annotated[
        int, typer.Option(min=0, help="Instead: sign a petition so many times, then compare it with an empty one.")
    ] = 0,
    claims: Annotated[
        bool,
        typer.Option("--claims", help="Instead: so many buyers of a coupon there is one of for every second buyer."),
    ] = False,
    voting: Annotated[
        bool, typer.Option("--voting", help="Instead: so many very active people in a large conversation.")
    ] = False,
    users: Annotated[int, typer.Option(min=1, help="With --voting: people.")] = 200,
    opinions: Annotated[int, typer.Option(min=50, help="With --voting: opinions there are before.")] = 19_000,
    votes: Annotated[int, typer.Option(min=50, help="With --voting: votes there are before.")] = 113_000,
    think: Annotated[
        bool, typer.Option("--think/--no-think", help="With --voting: 0.5 to 2 s between two calls, or none.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Sign one petition very many times and check that every signature is there. Starts the stack if needed.

    Exit status 1 if a call failed, a signature or threshold is missing, or the counter is not exact.
    """
    from libs.cli.callers.fleet import FleetError

    settings = StackSettings()
    try:
        if signers:
            _load_by_size(settings, signers, callers, processes, as_json)
        elif claims:
            _load_claims(settings, count, callers, processes, as_json)
        elif voting:
            _load_voting(settings, users, opinions, votes, think, as_json)
        else:
            report = run_load(settings, count, callers, processes, batch)
            print_json(report) if as_json else _show(report)
            raise typer.Exit(not report.complete)
    except FleetError as error:
        raise DevstackError(str(error)) from error


def run_load(settings: StackSettings, count: int, callers: int, processes: int, batch: int) -> LoadReport:
    """Sends `count` signatures of as many users, in calls of `batch`, and looks at what they left behind."""
    from libs.cli.callers.fleet import fleet
    from libs.cli.callers.orders import Order
    from libs.cli.callers.petitions import petitions
    from libs.cli.load_progress import progress
    from libs.cli.verify_statistics import trouble

    if count % batch:
        raise DevstackError(f"{count} signatures cannot be sent in calls of {batch}")
    status = ensure_running(settings)
    address, database_url = status.services["petition"].address, status.database_url
    assert database_url is not None
    with petitions(address) as service, fleet(processes) as clients:
        petition_id = service.create(f"A load of {count:,} signatures", THRESHOLDS)
        before = trouble(database_url)
        order = Order(
            address=address,
            method="CoSign" if batch == 1 else "BatchCoSign",
            resources=[petition_id],
            callers=callers,
            calls=count // batch,
            batch=batch,
            prepared=min(count, 100_000) // batch,
        )
        with progress(f"{count:,} signatures", count) as advance:
            outcome = clients.run(order, lambda calls: advance(calls * batch))
        time.sleep(1.1)  # what a session noticed, it reports a second later
        after = trouble(database_url)
        standing = service.standing(petition_id)
    return LoadReport(
        petition_id=petition_id,
        sent=count,
        acknowledged=outcome.items,
        failures=dict(outcome.failures),
        counter=standing.counter,
        counted=standing.counted,
        thresholds_crossed=standing.crossed,
        thresholds_expected=[threshold for threshold in THRESHOLDS if threshold <= count],
        deadlocks=after.deadlocks - before.deadlocks,
        seconds=outcome.seconds,
        signatures_per_second=outcome.item_rate,
        p50_ms=outcome.percentile(0.50) * 1e3,
        p99_ms=outcome.percentile(0.99) * 1e3,
    )


def _show(report: LoadReport) -> None:
    facts = (
        ("petition", report.petition_id),
        ("sent", f"{report.sent:,}"),
        ("acknowledged", f"{report.acknowledged:,}"),
        ("counter", f"{report.counter:,}"),
        ("rows", f"{report.counted:,}"),
        ("thresholds crossed", f"{report.thresholds_crossed} of {report.thresholds_expected}"),
        ("failed calls, timeouts and lock errors included", failures_in_words(report.failures)),
        ("deadlocks", str(report.deadlocks)),
        ("seconds", f"{report.seconds:.1f}"),
        ("signatures/s", f"{report.signatures_per_second:,.0f}"),
        ("p50, p99 of a call", f"{report.p50_ms:.1f} ms, {report.p99_ms:.1f} ms"),
    )
    print_facts(facts)
    console.print("[green]every signature is there, once[/]" if report.complete else "[red]not as it should be[/]")


def _load_claims(settings: StackSettings, count: int, callers: int, processes: int, as_json: bool) -> None:
    from libs.cli.load_claims import run, show

    report = run(ensure_running(settings), count, callers, processes)
    print_json(report) if as_json else show(report)
    raise typer.Exit(not report.complete)


def _load_voting(settings: StackSettings, users: int, opinions: int, votes: int, think: bool, as_json: bool) -> None:
    from libs.cli.load_voting import run, show

    report = run(ensure_running(settings), users, opinions, votes, think)
    print_json(report) if as_json else show(report)
    raise typer.Exit(not report.complete)


def _load_by_size(settings: StackSettings, signers: int, callers: int, processes: int, as_json: bool) -> None:
    from libs.cli.load_by_size import compare, show

    report = compare(ensure_running(settings), signers, callers, processes)
    print_json(report) if as_json else show(report)
    errors.print("latencies of one machine under load wander: only the ratios say something", style="dim")
    raise typer.Exit(not report.exact)
