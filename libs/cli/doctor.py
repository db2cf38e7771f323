"""`tally doctor`: looks for what commonly keeps the local stack from working, and says what to do."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Literal

import typer
from pydantic import BaseModel

from libs.cli.migrate import database_url
from libs.cli.output import Json, console, print_json
from libs.devstack import locks, ports
from libs.devstack.account import Account
from libs.devstack.errors import DevstackError
from libs.devstack.installation import Installation
from libs.devstack.placement import postgres_home
from libs.devstack.settings import SOURCE_ROOT, StackSettings

Verdict = Literal["good", "warning", "bad"]
_MARKS = {"good": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}
_DISK_NEEDED = 2 << 30
_DISK_WANTED = 10 << 30


class Finding(BaseModel):
    """What one check found."""

    check: str
    verdict: Verdict
    detail: str


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(as_json: Json = False) -> None:
    """Check this machine and the stack. Exit status 1 when something is bad; warnings do not count."""
    settings = StackSettings()
    findings = list(examine(settings))
    bad = any(finding.verdict == "bad" for finding in findings)
    if as_json:
        print_json({"healthy": not bad, "findings": [finding.model_dump() for finding in findings]})
    else:
        for finding in findings:
            console.print(f"{_MARKS[finding.verdict]} {finding.check}: ", end="")
            console.print(finding.detail, markup=False)
    raise typer.Exit(1 if bad else 0)


def examine(settings: StackSettings) -> Iterator[Finding]:
    """Every check in turn; one that fails in an unforeseen way is a finding itself."""
    checks: dict[str, Callable[[StackSettings], tuple[Verdict, str]]] = {
        "python": _python,
        "packages": _packages,
        "state folder": _state_folder,
        "disk": _disk,
        "postgres programs": _programs,
        "ports": _ports,
        "database": _database,
        "schema": _schema,
        "durability": _durability,
    }
    for name, check in checks.items():
        try:
            verdict, detail = check(settings)
        except Exception as error:
            verdict, detail = "bad", f"{error}" if isinstance(error, DevstackError) else f"{error!r}"
        yield Finding(check=name, verdict=verdict, detail=detail)


def _python(_: StackSettings) -> tuple[Verdict, str]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return ("good", f"{version} at {sys.executable}") if good else ("bad", f"{version}; 3.11 or newer is needed")


def _packages(_: StackSettings) -> tuple[Verdict, str]:
    """Compares what is installed with the pins of requirements.txt."""
    from packaging.requirements import Requirement

    pins = SOURCE_ROOT / "requirements.txt"
    if not pins.exists():
        return "warning", f"{pins} is not there to compare with"
    wrong = []
    count = 0
    for line in pins.read_text().splitlines():
        if not line or line[0] in "# ":
            continue
        requirement = Requirement(line.rstrip("\\ "))
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        count += 1
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, pinned is {requirement.specifier}")
    if wrong:
        return "bad", f"{'; '.join(wrong)}: run `make venv`"
    return "good", f"{count} packages as pinned"


def _state_folder(settings: StackSettings) -> tuple[Verdict, str]:
    folder = settings.state.path
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        return "bad", f"{above} cannot be written to: set TALLY_STATE_DIR"
    return "good", str(folder) if folder.exists() else f"{folder} will be made"


def _disk(settings: StackSettings) -> tuple[Verdict, str]:
    folder = settings.state.path
    above = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(above).free
    detail = f"{free / (1 << 30):.1f} GiB free"
    if free < _DISK_NEEDED:
        return "bad", f"{detail}; Postgres needs some {_DISK_NEEDED >> 30} GiB for its log alone"
    return ("good" if free >= _DISK_WANTED else "warning"), detail


def _programs(settings: StackSettings) -> tuple[Verdict, str]:
    if not settings.embedded:
        return "good", "not needed: TALLY_DATABASE_URL is set"
    installation = Installation.find()
    account = Account.for_postgres()
    runs_as = f"runs as uid {account.uid}" if account.switch else "runs as you"
    if not settings.state.path.exists():
        return "good", f"{installation.prefix}, {runs_as}"
    home = postgres_home(settings.state.path, account)
    return "good", f"{installation.usable_by(account, home).prefix}, {runs_as}; data in {home}"


def _ports(settings: StackSettings) -> tuple[Verdict, str]:
    wanted = settings.ports()
    span = f"{min(wanted)} to {max(wanted)}"
    if locks.is_held(settings.state.supervisor_lock):
        return "good", f"{span}, used by the running stack"
    ports.require_free(wanted)
    return "good", f"{span}: those needed are free"


def _database(settings: StackSettings) -> tuple[Verdict, str]:
    if _nothing_to_ask(settings):
        return "warning", "the stack does not run; nothing to ask"
    return "good", _ask(settings, "SELECT version()")


def _schema(settings: StackSettings) -> tuple[Verdict, str]:
    if _nothing_to_ask(settings):
        return "warning", "the stack does not run; nothing to ask"
    from libs.data.migrate import current_revision, expected_revision

    current, expected = current_revision(database_url(settings)), expected_revision()
    if current != expected:
        return "bad", f"at {current or 'no revision'}, this build expects {expected}: run `tally migrate`"
    return "good", f"at {current}"


def _durability(settings: StackSettings) -> tuple[Verdict, str]:
    if _nothing_to_ask(settings):
        return "warning", "the stack does not run; nothing to ask"
    values = {name: _ask(settings, f"SHOW {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")}
    detail = ", ".join(f"{name} = {value}" for name, value in values.items())
    if values["synchronous_commit"] == "local" or "off" in values.values():
        return "bad", f"{detail}: an acknowledged write could be lost"
    if _ask(settings, "SHOW data_checksums") == "off":
        return "warning", f"{detail}, but data_checksums = off: broken pages would go unnoticed"
    return "good", f"{detail}, data_checksums = on"


def _nothing_to_ask(settings: StackSettings) -> bool:
    return settings.embedded and not locks.is_held(settings.state.supervisor_lock)


def _ask(settings: StackSettings, query: str) -> str:
    import psycopg

    try:
        with psycopg.connect(database_url(settings), connect_timeout=3) as connection:
            row = connection.execute(query.encode()).fetchone()
    except psycopg.OperationalError as error:
        raise DevstackError(str(error).strip()) from error
    assert row is not None
    return str(row[0])
