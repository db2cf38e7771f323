"""`tally up`, `down`, `status`, `logs`: the local stack."""

import sys
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO, Annotated

import typer
from rich.table import Table

from libs.cli.output import Json, console, errors, print_json
from libs.devstack import locks
from libs.devstack import stack as local_stack
from libs.devstack.errors import DevstackError, log_tail
from libs.devstack.settings import StackSettings
from libs.devstack.status import ProgramStatus, StackStatus, stack_status

EXIT_HEALTHY, EXIT_UNHEALTHY, EXIT_NOT_RUNNING = 0, 1, 3


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(logs)


def up(as_json: Json = False) -> None:
    """Start Postgres and every service in the background, and wait until all are healthy."""
    settings = StackSettings()
    started_at = time.monotonic()
    started = local_stack.up(settings, progress=lambda text: errors.print(f"  {text}", style="dim"))
    answer = stack_status(settings)
    if as_json:
        print_json(answer)
        return
    took = f"started in {time.monotonic() - started_at:.1f} s" if started else "runs already"
    console.print(f"Tally {took}; data and logs are in {answer.state_dir}")
    console.print(_table(answer))
    _print_remarks(answer)
    _print_examples(settings)


def down(as_json: Json = False) -> None:
    """Stop the stack. Data stays."""
    stopped = local_stack.down(StackSettings())
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print("Tally is stopped; its data stays." if stopped else "Tally does not run.")


def status(as_json: Json = False) -> None:
    """What runs, where, and whether it is healthy. Exit status: 0 all healthy, 1 something is not, 3 nothing runs."""
    answer = stack_status(StackSettings())
    if as_json:
        print_json(answer)
    elif not answer.running:
        console.print(f"Tally does not run (state folder {answer.state_dir}). Start it with `make up`.")
        if answer.detail:
            console.print(f"The last start failed: {answer.detail}", markup=False)
    else:
        console.print(_table(answer))
        _print_remarks(answer)
        if answer.phase != "running":
            console.print(f"{answer.phase} {answer.detail}")
    raise typer.Exit(exit_status(answer))


def exit_status(answer: StackStatus) -> int:
    if not answer.running:
        return EXIT_NOT_RUNNING
    return EXIT_HEALTHY if answer.healthy else EXIT_UNHEALTHY


def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Programs; all of them when left out.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
) -> None:
    """Show the end of the logs."""
    folder = StackSettings().state
    there = sorted(path.stem for path in folder.logs.glob("*.log"))
    wanted = names or there
    unknown = [name for name in wanted if name not in there]
    if unknown or not there:
        raise DevstackError(f"no log of {', '.join(unknown) or 'anything'} in {folder.logs} (there are: {there})")
    for name in wanted:
        if lines:
            console.print(f"{name}  {folder.log(name)}", style="bold")
            console.print(log_tail(folder.log(name), lines), markup=False)
    if follow:
        with ExitStack() as stack:
            files = {name: stack.enter_context(folder.log(name).open()) for name in wanted}
            _follow(files)


def _follow(files: Mapping[str, IO[str]]) -> None:
    for file in files.values():
        file.seek(0, 2)
    try:
        while True:
            for name, file in files.items():
                for line in file:
                    sys.stdout.write(f"{name}: {line}")
            sys.stdout.flush()
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _table(answer: StackStatus) -> Table:
    table = Table("", "address", "health", "restarts", "pid", box=None, pad_edge=False)
    for name, program in answer.programs().items():
        table.add_row(name, program.address, _health(program), str(program.restarts), str(program.pid or "-"))
    if answer.supervisor is not None:
        table.add_row("supervisor", "-", "[green]runs", "-", str(answer.supervisor.pid))
    return table


def _health(program: ProgramStatus) -> str:
    return "[green]healthy" if program.healthy else "[red]unhealthy"


def _print_remarks(answer: StackStatus) -> None:
    """What the table has no room for: where the data is, why something is unhealthy, how it ended the last time."""
    if answer.database_url:
        console.print(f"database: {without_password(answer.database_url)}", markup=False)
    for name, program in answer.programs().items():
        if program.problem:
            console.print(f"{name}: {program.problem}", markup=False)
        if program.last_exit:
            console.print(f"{name} was restarted {program.restarts} times, last {program.last_exit}", markup=False)


def without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()


def _print_examples(settings: StackSettings) -> None:
    base = settings.port_base
    console.print("Try:")
    for command in (
        f"grpcurl -plaintext 127.0.0.1:{base} list",
        f"grpcurl -plaintext -d '{{\"page_size\": 5}}' 127.0.0.1:{base} tally.petition.v1.PetitionService/ListPetitions",
        "make demo",
    ):
        console.print(f"  {command}", markup=False)


def require_running(settings: StackSettings) -> StackStatus:
    """The status of a stack that runs; raises DevstackError when none does. For commands that need one."""
    if not locks.is_held(settings.state.supervisor_lock):
        raise DevstackError("Tally does not run: start it with `make up`")
    return stack_status(settings)


def ensure_running(settings: StackSettings) -> StackStatus:
    """The status of the stack, which is started if none runs. For commands that put it to use."""
    if not locks.is_held(settings.state.supervisor_lock):
        errors.print("starting the stack …", style="dim")
    local_stack.up(settings, progress=lambda text: errors.print(f"  {text}", style="dim"))
    return stack_status(settings)
