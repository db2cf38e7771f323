"""`tally import-polis`, `tally export-polis`: conversations in the files that Polis exports."""

from pathlib import Path
from typing import Annotated

import typer

from libs.cli.output import Json, print_json
from libs.cli.stack import ensure_running
from libs.devstack.settings import StackSettings

Address = Annotated[str, typer.Option(help="host:port of the voting service; the local stack's when left out.")]


def register(app: typer.Typer) -> None:
    app.command()(import_polis)
    app.command()(export_polis)


def import_polis(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", exists=True, file_okay=False, help="With comments.csv, votes.csv and perhaps summary.csv."
        ),
    ],
    address: Address = "",
    external_id: Annotated[
        str | None, typer.Option(help="The conversation's id where it comes from, instead of the summary's url.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import what Polis exported. Importing again changes nothing, and takes an import up that broke off.

    Without a summary, the folder's name stands for title and url. Rows that are broken are told with line and reason, and the
    others imported: then the exit status is 1, and 0 only if every row is in.
    """
    from libs.cli.polis_import import run, show

    report = run(folder, address or _voting(), external_id)
    print_json(report) if as_json else show(report)
    raise typer.Exit(not report.complete)


def export_polis(
    conversation_id: Annotated[str, typer.Argument(help="UUID of the conversation.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Made if it is not there.")],
    address: Address = "",
    as_json: Json = False,
) -> None:
    """Write a conversation's comments.csv, votes.csv and summary.csv, as it is at one moment.

    Opinions that were deleted are left out, those that were moved are written as rejected. Nothing is overwritten.
    """
    from libs.cli.polis_export import run, show

    report = run(conversation_id, folder, address or _voting())
    print_json(report) if as_json else show(report)


def _voting() -> str:
    return ensure_running(StackSettings()).services["voting"].address
