"""The `tally` command. Each module of this package that has `register(app)` adds its commands."""

import importlib
import pkgutil
import sys

import structlog
import typer

import libs.cli
from libs.cli import output
from libs.devstack.errors import DevstackError


def build() -> typer.Typer:
    """The command with everything that the package's modules register, in the order of their names."""
    app = typer.Typer(
        name="tally",
        help="Run Tally on this machine, and look after it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in pkgutil.iter_modules(libs.cli.__path__):
        register = getattr(importlib.import_module(f"libs.cli.{module.name}"), "register", None)
        if register is not None:
            register(app)
    return app


def main() -> None:
    """Runs the command; an expected failure is one message and exit status 1."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for answers
    try:
        build()()
    except DevstackError as error:
        output.errors.print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
