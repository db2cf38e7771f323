"""How commands talk: tables and progress for people, one JSON document for machines."""

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated

import orjson
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

# Where there is no terminal, rich would squeeze tables into 80 columns.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Prints what is known, a line each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts:
        table.add_row(name, value)
    console.print(table)


def failures_in_words(failures: Mapping[str, int]) -> str:
    """Failed calls in words."""
    return ", ".join(f"{n:,} x {reason}" for reason, n in failures.items()) or "none"


def print_json(document: BaseModel | dict[str, object]) -> None:
    """Prints a document on standard output, and nothing else may go there."""
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    sys.stdout.write(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode() + "\n")
