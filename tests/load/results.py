"""What the rounds measured, as medians and ratios, and as a JSON document."""

import os
import platform
import time
from pathlib import Path
from statistics import median

import orjson
from pydantic import BaseModel

from libs.cli.callers.orders import Outcome
from tests.load.rows import BARS, ROWS, Bar, Figure, Row


class Round(BaseModel):
    """One row in one round: rates a second, latencies in seconds."""

    calls: float
    items: float
    p50: float
    p99: float
    samples: int

    def figure(self, name: Figure) -> float:
        value: float = getattr(self, name)
        return value


class Judged(BaseModel):
    """A bar, what was reached, and whether that is enough.

    The value is the median of the rounds' own ratios: what disturbed a whole round cancels out.
    """

    row: str
    bar: str
    value: float
    lowest: float
    highest: float
    met: bool
    aim: bool


class Memory(BaseModel):
    """Resident bytes of the petition service after so many calls."""

    first_calls: int
    first_bytes: int
    last_calls: int
    last_bytes: int

    @property
    def ratio(self) -> float:
        return self.last_bytes / self.first_bytes


MEMORY_RATIO = 1.10


class Results:
    """Of one run. `problems` are failed calls and counts that were not exact; they make the run a failure."""

    def __init__(self, options: dict[str, object]) -> None:
        self._options = {name: str(value) for name, value in options.items()}
        self._machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load_before": os.getloadavg()[0]}
        self._started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.seconds = 0.0
        self.rounds: dict[str, list[Round]] = {}
        self.problems: list[str] = []
        self.memory: Memory | None = None

    def add(self, row: Row, outcome: Outcome) -> None:
        taken = Round(
            calls=outcome.call_rate,
            items=outcome.item_rate,
            p50=outcome.percentile(0.50),
            p99=outcome.percentile(0.99),
            samples=outcome.calls,
        )
        self.rounds.setdefault(row.name, []).append(taken)

    def finish(self, seconds: float) -> None:
        self.seconds = seconds
        self._machine["load_after"] = os.getloadavg()[0]

    def median(self, row: str, figure: Figure) -> float:
        return median(taken.figure(figure) for taken in self.rounds[row])

    def callers(self, row: str) -> int:
        return ROWS[row].callers or int(self._options["callers"])

    def judged(self) -> list[Judged]:
        """Every bar whose rows were measured."""
        judged = []
        for bar in BARS:
            if bar.row not in self.rounds or (bar.against and bar.against not in self.rounds):
                continue
            values = self._values(bar)
            value = median(values)
            judged.append(
                Judged(
                    row=bar.row,
                    bar=str(bar),
                    value=value,
                    lowest=min(values),
                    highest=max(values),
                    met=bar.met(value),
                    aim=bar.aim,
                )
            )
        return judged

    @property
    def bars_met(self) -> bool:
        memory_met = self.memory is None or self.memory.ratio <= MEMORY_RATIO
        return memory_met and all(judged.met for judged in self.judged() if not judged.aim)

    def write(self, path: Path) -> None:
        document = {
            "started": self._started,
            "seconds": self.seconds,
            "options": self._options,
            "machine": self._machine,
            "rows": {
                name: {
                    "title": ROWS[name].title,
                    "callers": self.callers(name),
                    "median": {figure: self.median(name, figure) for figure in ("calls", "items", "p50", "p99")},
                    "rounds": [taken.model_dump() for taken in rounds],
                }
                for name, rounds in self.rounds.items()
            },
            "bars": [judged.model_dump() for judged in self.judged()],
            "memory": self.memory and {**self.memory.model_dump(), "ratio": self.memory.ratio},
            "problems": self.problems,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    def _values(self, bar: Bar) -> list[float]:
        rounds = self.rounds[bar.row]
        if bar.against is None:
            return [taken.figure(bar.figure) for taken in rounds]
        # A batch's items are compared with the other row's calls of one item each: the same figure.
        pairs = zip(rounds, self.rounds[bar.against], strict=True)
        return [taken.figure(bar.figure) / other.figure(bar.figure) for taken, other in pairs]
