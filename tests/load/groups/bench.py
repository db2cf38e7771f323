"""Opinion groups beside red-dwarf, a library that computes them with dense matrices: `make bench ARGS=groups`.

Every contender runs in a process of its own, one after the other. Seconds are of computing, after imports and with the votes in
memory. red-dwarf is installed into an environment of its own, from requirements-bench.txt.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.table import Table

from libs.cli.output import console, errors
from tests.load.groups.generated import generated

LARGE, HUGE = (113_000, 5_000, 19_000), (2_000_000, 33_000, 20_000)  # votes, people, opinions
PINS = Path("requirements-bench.txt")
ENVIRONMENT = Path(".build/red-dwarf")
RED_DWARF = Path(__file__).with_name("red_dwarf.py")


@dataclass(frozen=True)
class Measured:
    """A figure and its bar: at least so much where that is better, else at most."""

    what: str
    value: float
    unit: str
    bar: float
    more_is_better: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bar if self.more_is_better else self.value <= self.bar


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        large, huge = (_tally(size, options.rounds, Path(folder) / f"{size[0]}.npz") for size in (LARGE, HUGE))
        measured = [
            Measured(_named(LARGE), median(large["seconds"]), "s", 0.5),
            Measured(_named(HUGE), median(huge["seconds"]), "s", 2.0),
            Measured(
                "… memory of its process at most, the making of votes included", huge["peak_bytes"] / 1e6, "MB", 1000
            ),
        ]
        if not options.alone:
            measured += _beside_red_dwarf(large, Path(folder))
    _show(measured)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({"runs": [large, huge], "measured": [*map(asdict, measured)]}, indent=2))
    print(f"\n{options.output}")
    sys.exit(options.assert_bars and not all(each.met for each in measured))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.groups.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="without red-dwarf, which takes a minute")
    parser.add_argument("--assert", dest="assert_bars", action="store_true", help="exit status 1 when a bar is missed")
    parser.add_argument("--output", type=Path, default=Path(".build/bench-groups.json"))
    return parser.parse_args()


def _tally(size: tuple[int, int, int], rounds: int, components: Path) -> dict[str, Any]:
    errors.print(f"analysing {_named(size)} {rounds} times …", style="dim")
    command = [sys.executable, "-m", "tests.load.groups.run", *map(str, size), str(rounds), str(components)]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return told | {"components": str(components)}


def _beside_red_dwarf(tally: dict[str, Any], folder: Path) -> list[Measured]:
    python = _environment()
    votes = generated(*LARGE)
    given, answer = folder / "votes.npz", folder / "answer.npz"
    np.savez(given, participants=votes.participants, opinions=votes.opinions, votes=votes.votes)
    errors.print(f"red-dwarf, {_named(LARGE)}, once …", style="dim")
    subprocess.run([python, "-W", "ignore", RED_DWARF, given, answer], check=True)
    theirs, ours = np.load(answer), np.load(tally["components"])["components"]
    ours = ours[:, theirs["opinions"]]
    signs = np.sign((ours * theirs["components"]).sum(axis=1))[:, None]
    seconds = float(theirs["seconds"])
    return [
        Measured(f"… times as fast as red-dwarf ({seconds:.1f} s)", seconds / median(tally["seconds"]), "x", 100, True),
        Measured(
            "… largest difference of a loading", float(np.abs(ours * signs - theirs["components"]).max()), "", 1e-8
        ),
    ]


def _environment() -> Path:
    """The interpreter that has red-dwarf, made when asked for first or when the pins have changed."""
    installed, python = ENVIRONMENT / PINS.name, ENVIRONMENT / "bin" / "python"
    if not installed.exists() or installed.read_text() != PINS.read_text():
        errors.print(f"installing red-dwarf into {ENVIRONMENT} …", style="dim")
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", PINS], check=True)
        installed.write_text(PINS.read_text())
    return python


def _named(size: tuple[int, int, int]) -> str:
    return "{:,} votes, {:,} people, {:,} opinions".format(*size)


def _show(measured: list[Measured]) -> None:
    table = Table("", "bar", "measured", "", box=None, pad_edge=False)
    for each in measured:
        bar = f"{'≥' if each.more_is_better else '≤'} {each.bar:g} {each.unit}"
        table.add_row(each.what, bar, f"{each.value:.3g} {each.unit}", "[green]met[/]" if each.met else "[red]short[/]")
    console.print(table)


if __name__ == "__main__":
    main()
