"""`tally demo`: thousands sign, race, withdraw, buy, share and vote; then every count is compared with its rows."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from libs.cli.demo_report import DemoReport, show, to_report
from libs.cli.output import Json, errors, print_json
from libs.cli.stack import ensure_running
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings
from libs.devstack.status import StackStatus

# Analyses of large conversations are larger than the 4 MiB a client takes by default.
_LARGE = [("grpc.max_receive_message_length", 256 * 2**20)]


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    signers: Annotated[int, typer.Option(min=100, max=100_000, help="People of the crowd.")] = 5_000,
    callers: Annotated[int, typer.Option(min=1, max=500, help="Concurrent callers of the crowd.")] = 64,
    polis: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="People vote in the conversation that Polis exported there.",
        ),
    ] = None,
    opinion_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            dir_okay=False,
            show_default="opinion-map.svg in the state folder",
            help="Where the opinion map is drawn (SVG).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Plays the same choices again.")] = 1,
    as_json: Json = False,
) -> None:
    """Play a scenario against the stack, which is started if needed, and compare every count with its rows.

    Shows the opinion groups of the conversation that people vote in, as it was before they did, and draws its map.

    Exit status 1 if a call failed or anything disagrees.
    """
    import grpc

    settings = StackSettings()
    status = ensure_running(settings)
    drawn = (opinion_map or settings.state.path / "opinion-map.svg").absolute()
    try:
        report = asyncio.run(play(status, signers, callers, seed, polis, drawn))
    except grpc.RpcError as error:
        raise DevstackError(f"a check could not be made: {error}") from error
    print_json(report) if as_json else show(report)
    raise typer.Exit(not report.agreed)


async def play(
    status: StackStatus, signers: int, callers: int, seed: int, polis: Path | None, drawn: Path
) -> DemoReport:
    """Plays every act, then compares.

    Args:
        drawn: where the opinion map is written.
    """
    import grpc.aio

    from libs.cli.scenario import forum as scenario_forum
    from libs.cli.scenario import market as scenario_market
    from libs.cli.scenario import play as scenario
    from libs.cli.scenario.acting import Advance
    from libs.cli.scenario.checks import Checks
    from libs.cli.scenario.forum_checks import ForumChecks
    from libs.cli.scenario.groups import Analysing, told
    from libs.cli.scenario.market_checks import MarketChecks
    from libs.cli.scenario.neighbors import NEIGHBORS, Neighbors
    from libs.cli.scenario.opinion_map import draw
    from libs.cli.scenario.sources import source
    from libs.cli.scenario.standing_checks import StandingChecks

    start = time.monotonic()
    debated = source(polis, seed)
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with (
        grpc.aio.insecure_channel(status.services["petition"].address) as petition,
        grpc.aio.insecure_channel(status.services["claims"].address) as claims,
        grpc.aio.insecure_channel(status.services["voting"].address, options=_LARGE) as voting,
        grpc.aio.insecure_channel(status.services["reputation"].address) as reputation,
        grpc.aio.insecure_channel(status.services["aggregator"].address) as aggregator,
    ):
        played = scenario.Play(petition, callers, seed)
        market = scenario_market.Market(claims, played.ledger, seed)
        forum = scenario_forum.Forum(voting, played.ledger, seed)
        checks, market_checks = Checks(petition, aggregator), MarketChecks(claims, aggregator)
        forum_checks, analysing = ForumChecks(voting, aggregator), Analysing(voting)
        with Progress(*columns, console=errors, disable=not errors.is_terminal) as bars:

            def bar(title: str, total: int | None) -> Advance:
                task = bars.add_task(title, total=total)
                return lambda done: bars.advance(task, done)

            # First, so that it is analysed while others are at work, and before those vote who vote by chance.
            await forum.take_over(debated, bar("import a conversation", len(debated.opinions) + len(debated.votes)))
            assert played.ledger.conversation is not None
            analysed_before = await analysing.request(played.ledger.conversation)
            await played.create(bar("create petitions", scenario.PETITIONS))
            await played.crowd(signers, bar("sign, most of them one", None))
            await played.race(bar("race past thresholds", scenario.RACERS))
            await played.batches(bar("batches", scenario.BATCHES * scenario.BATCH))
            await played.stream(bar("a stream", scenario.STREAMED))
            await played.withdraw(bar("withdraw and come back", scenario.WITHDRAWALS + scenario.RETURNING))
            await market.flash_sale(bar("a flash sale", scenario_market.BUYERS))
            await market.restock(bar("wait for more", None))
            await Neighbors(reputation, played.ledger).gather(bar("join a group", NEIGHBORS - 1))
            await market.share_food(bar("share food", None))
            advance = bar("find opinion groups", 1)
            analysis = await analysing.wait(played.ledger.conversation, analysed_before)
            bodies = {opinion.external_id: opinion.body for opinion in debated.opinions}
            groups = told(analysis, played.ledger.conversation, bodies)
            draw(analysis, debated.title).write(drawn, encoding="utf-8", xml_declaration=True)
            advance(1)
            await forum.vote(bar(f"{scenario_forum.PEOPLE} people vote", None))
            await forum.write(bar("write opinions", None))
            await forum.reconsider(bar("change their minds", None))
            await forum.moderate(bar("hide opinions", scenario_forum.HIDDEN))
            advance = bar("compare every count", len(played.ledger.petitions))
            compared = []
            for signed in played.ledger.petitions:
                compared.append(await checks.compare(signed))
                advance(1)
            assert played.ledger.sale is not None
            assert played.ledger.meal is not None
            votes = await forum_checks.compare(played.ledger.conversation)
            goods = await market_checks.sale(played.ledger.sale) + await market_checks.meal(played.ledger.meal)
            assert played.ledger.gathering is not None
            standing_checks = StandingChecks(reputation, aggregator)
            reputations = await standing_checks.meal(played.ledger.meal)
            reputations.append(await standing_checks.gathering(played.ledger.gathering))
    return DemoReport(
        acts=[to_report(act) for act in played.ledger.acts],
        petitions=compared,
        goods=goods,
        reputations=reputations,
        conversation=debated.title,
        votes=votes,
        groups=groups,
        opinion_map=drawn,
        seconds=time.monotonic() - start,
    )
