"""Starts processes full of callers, follows them, and gathers what they were answered."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from tests.concurrency.history import A, Attempt, History, read_history
from tests.concurrency.plan import Plan
from tests.unit.devstack.waiting import wait_until


class CallerProcess:
    """One such process; a thread reads what it says."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ready = False
        self.acknowledged = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.concurrency.caller_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.say(orjson.dumps(asdict(plan)).decode())

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready":
                self.ready = True
            else:
                self.acknowledged = int(line)

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def history(self, attempt: type[A]) -> list[A]:
        assert self._process.returncode == 0, f"the callers ended with status {self._process.returncode}"
        return read_history(Path(self.plan.history), attempt)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@dataclass(frozen=True, slots=True)
class Callers:
    """All callers of a test."""

    processes: Sequence[CallerProcess]

    @property
    def acknowledged(self) -> int:
        """So far, from all of them."""
        return sum(process.acknowledged for process in self.processes)

    def wait_for(self, more: int, seconds: float = 30.0) -> None:
        """Until so many more attempts are acknowledged than are now."""
        wanted = self.acknowledged + more
        wait_until(lambda: self.acknowledged >= wanted or self._over, seconds)
        assert self.acknowledged >= wanted, "the callers ended"

    @property
    def _over(self) -> bool:
        return all(process.over for process in self.processes)

    def work(self, seconds: float) -> None:
        """For so long, and until everybody has settled what they had begun."""
        time.sleep(seconds)
        self.stop()

    def stop(self) -> None:
        """Each caller settles what it has begun, and ends."""
        for process in self.processes:
            process.say("stop")

    def history(self) -> History:
        """What all signers saw, when they have ended."""
        return self.history_of(Attempt)

    def history_of(self, attempt: type[A], seconds: float = 100.0) -> list[A]:
        """Waits for their end and answers what all of them saw; attempts of the kind that such callers make."""
        wait_until(lambda: self._over, seconds)
        return [seen for process in self.processes for seen in process.history(attempt)]


@contextmanager
def calling(plan: Plan, folder: Path, processes: int = 1) -> Iterator[Callers]:
    """Callers at work by the plan; its callers are divided among the processes, which start together."""
    started: list[CallerProcess] = []
    folder.mkdir(exist_ok=True)
    try:
        for n in range(processes):
            own = replace(
                plan,
                seed=f"{plan.seed}/{n}",
                history=str(folder / f"history-{n}.jsonl"),
                callers=plan.callers // processes,
                targets=[*plan.targets[n:], *plan.targets[:n]],
            )
            started.append(CallerProcess(own))
        wait_until(lambda: all(process.ready or process.over for process in started))
        for process in started:
            process.say("go")
        yield Callers(started)
    finally:
        for process in started:
            process.close()
