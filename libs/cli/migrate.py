"""`tally migrate`: brings the stack's database, or the one of TALLY_DATABASE_URL, to the newest schema."""

from typing import Annotated

import typer

from libs.cli.output import Json, console, print_json
from libs.cli.stack import without_password
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings
from libs.devstack.state import StackState


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    revision: Annotated[str, typer.Argument(help="A revision, or head for the newest.")] = "head",
    as_json: Json = False,
) -> None:
    """Bring the database to a revision of the schema."""
    import psycopg

    from libs.data.migrate import current_revision, upgrade

    url = database_url(StackSettings())
    try:
        before = current_revision(url)
        upgrade(url, revision)
        after = current_revision(url)
    except psycopg.OperationalError as error:
        raise DevstackError(f"the database {without_password(url)} cannot be reached: {error}") from error
    if as_json:
        print_json({"database_url": url, "before": before, "after": after})
    else:
        change = f"is at {after} already" if before == after else f"went from {before or 'nothing'} to {after}"
        console.print(f"{without_password(url)} {change}")


def database_url(settings: StackSettings) -> str:
    """TALLY_DATABASE_URL, else that of the running stack."""
    if settings.database_url:
        return settings.database_url
    state = StackState.read(settings.state.stack_file)
    if state is None or not state.database_url:
        raise DevstackError("there is no database: start the stack with `make up`, or set TALLY_DATABASE_URL")
    return state.database_url
